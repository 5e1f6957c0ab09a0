// exp, the logistic function and tanh on vectors: within 3 units in the last place for the last two. NaN stays NaN.
#pragma once
#include "simd.h"

namespace {

template <class Real>
struct Constants;
template <>
struct Constants<float> {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
    static constexpr float round = 12582912.0f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f, limit = 87.0f;
    static constexpr float overflow = 88.72284f, underflow = -103.98f;
    static constexpr int mantissa = 23, terms = 7, bias = 127;
};
template <>
struct Constants<double> {
    static constexpr double round = 6755399441055744.0, ln2_high = 0.693145751953125, ln2_low = 1.42860682030941723212e-6;
    static constexpr double limit = 708.0, overflow = 709.782712893384, underflow = -745.2;
    static constexpr int mantissa = 52, terms = 13, bias = 1023;
};

template <class Real>
struct Exponent {
    typename Simd<Real>::V minus_one;  // e^r - 1, |r| <= ln(2) / 2
    typename Simd<Real>::I power;      // e^x = 2^power e^r
};

constexpr double factorial(int n) { return n < 2 ? 1.0 : n * factorial(n - 1); }

// x is within ± limit (or NaN).
template <class Real>
inline Exponent<Real> split_exponent(typename Simd<Real>::V x) {
    using C = Constants<Real>;
    typedef typename Simd<Real>::V V;
    typedef typename Simd<Real>::I I;
    V shifted = x * Real(1.4426950408889634) + C::round;
    V n = shifted - C::round;
    V r = (x - n * C::ln2_high) - n * C::ln2_low;
    // Taylor's series of e^r - 1, by Horner's rule.
    V p = broadcast<Real>(Real(1 / factorial(C::terms)));
#pragma GCC unroll 16
    for (int k = C::terms - 1; k >= 1; k--) p = p * r + Real(1 / factorial(k));
    return {p * r, (I)shifted - (I)broadcast<Real>(C::round)};
}

template <class Real>
inline typename Simd<Real>::V power_of_two(typename Simd<Real>::I n) {
    using C = Constants<Real>;
    return (typename Simd<Real>::V)((n + C::bias) << C::mantissa);
}

template <class Real>
inline typename Simd<Real>::V exponential(typename Simd<Real>::V x) {
    using C = Constants<Real>;
    typedef typename Simd<Real>::V V;
    V inside = x > C::overflow ? broadcast<Real>(C::overflow) : x;
    inside = inside < C::underflow ? broadcast<Real>(C::underflow) : inside;
    auto e = split_exponent<Real>(inside);
    // In two factors: 2^128 and denormal results have no single one.
    typename Simd<Real>::I half = e.power >> 1;
    V y = (e.minus_one + Real(1)) * power_of_two<Real>(half) * power_of_two<Real>(e.power - half);
    return x > C::overflow ? broadcast<Real>(Real(__builtin_inf())) : y;
}

template <class Real>
inline typename Simd<Real>::V logistic(typename Simd<Real>::V x) {
    using C = Constants<Real>;
    typedef typename Simd<Real>::V V;
    V inside = x > C::limit ? broadcast<Real>(C::limit) : x;
    inside = inside < -C::limit ? broadcast<Real>(-C::limit) : inside;
    auto e = split_exponent<Real>(-inside);
    V scale = power_of_two<Real>(e.power);
    return Real(1) / (Real(1) + (e.minus_one * scale + scale));
}

// With m = e^{-2|x|} - 1, exact near zero:  tanh |x| = -m / (m + 2).
template <class Real>
inline typename Simd<Real>::V hyperbolic_tangent(typename Simd<Real>::V x) {
    typedef typename Simd<Real>::V V;
    typedef typename Simd<Real>::I I;
    const I sign = (I)broadcast<Real>(Real(-0.0));
    V y = (V)((I)x | sign) * Real(2);
    y = y < Real(-40) ? broadcast<Real>(Real(-40)) : y;
    auto e = split_exponent<Real>(y);
    V scale = power_of_two<Real>(e.power);
    V m = e.minus_one * scale + (scale - Real(1));
    V t = -m / (m + Real(2));
    return (V)(((I)t & ~sign) | ((I)x & sign));
}

}  // namespace
