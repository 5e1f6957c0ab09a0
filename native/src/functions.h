// exp, log, the logistic function, tanh and softplus on vectors: a few units in the last place. NaN stays NaN.
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
    static constexpr int mantissa = 23, terms = 7, bias = 127, log_terms = 5, softplus_terms = 8;
    static constexpr float smallest = 1.17549435e-38f, scale = 16777216.0f;  // the smallest normal number; 2^scale_power
    static constexpr int scale_power = 24;
};
template <>
struct Constants<double> {
    static constexpr double round = 6755399441055744.0, ln2_high = 0.693145751953125, ln2_low = 1.42860682030941723212e-6;
    static constexpr double limit = 708.0, overflow = 709.782712893384, underflow = -745.2;
    static constexpr int mantissa = 52, terms = 13, bias = 1023, log_terms = 11, softplus_terms = 17;
    static constexpr double smallest = 2.2250738585072014e-308, scale = 18014398509481984.0;
    static constexpr int scale_power = 54;
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

// The odd series 2 (s + s^3 / 3 + s^5 / 5 + …) = log((1 + s) / (1 - s)), from its last term on.
template <class Real, int TERMS>
inline typename Simd<Real>::V twice_artanh(typename Simd<Real>::V s) {
    typename Simd<Real>::V z = s * s, sum = broadcast<Real>(Real(2.0 / (2 * TERMS + 1)));
#pragma GCC unroll 20
    for (int k = TERMS - 1; k >= 0; k--) sum = sum * z + Real(2.0 / (2 * k + 1));
    return s * sum;
}

// x = 2^e m with m between √½ and √2:  e log 2 + log m.  Zero gives minus infinity, a negative number NaN.
template <class Real>
inline typename Simd<Real>::V logarithm(typename Simd<Real>::V x) {
    using C = Constants<Real>;
    typedef typename Simd<Real>::V V;
    typedef typename Simd<Real>::I I;
    typedef typename Simd<Real>::Int Int;
    // What has no logarithm is put right at the end.
    const V positive = x > 0 ? x : broadcast<Real>(1);
    const I denormal = positive < C::smallest;
    const V scaled = denormal ? positive * C::scale : positive;
    const Int half_root = sizeof(Real) == 4 ? (Int)0x3f3504f3 : (Int)0x3fe6a09e667f3bcd;
    const I above = (I)scaled - half_root;
    I e = above >> C::mantissa;
    const V m = (V)((above & (((Int)1 << C::mantissa) - 1)) + half_root);
    e -= denormal & C::scale_power;
    const V power = __builtin_convertvector(e, V);
    V y = twice_artanh<Real, C::log_terms>((m - Real(1)) / (m + Real(1))) + power * C::ln2_low + power * C::ln2_high;
    y = x == 0 ? broadcast<Real>(-Real(__builtin_inf())) : y;
    y = x < 0 ? broadcast<Real>(Real(__builtin_nan(""))) : y;
    // Infinity and NaN are what they were.
    return x < Real(__builtin_inf()) ? y : x;
}

// max(x, 0) + log(1 + e^-|x|); above 20 it is x, as in PyTorch.
template <class Real>
inline typename Simd<Real>::V softplus(typename Simd<Real>::V x) {
    using C = Constants<Real>;
    typedef typename Simd<Real>::V V;
    V w = exponential<Real>(x < 0 ? x : -x);
    V y = twice_artanh<Real, C::softplus_terms>(w / (w + Real(2))) + (x < 0 ? V{} : x);
    return x > Real(20) ? x : y;
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
