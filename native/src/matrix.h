// Small matrices in a thread's own memory, and what chunks of a sequence are made of: products, triangular systems, transposes.
// Their rows are padded to whole column blocks, so that a product reads them as its panels. Whatever stands in that padding,
// only padding is computed from it.
#pragma once
#include <utility>

#include "micro.h"

namespace {

template <class Real>
constexpr int64_t padded(int64_t count) { return (count + BLOCK<Real> - 1) / BLOCK<Real> * BLOCK<Real>; }

template <class Real>
struct Matrix {
    Real* at;
    int64_t row;  // from one row to the next: whole blocks
    Real* operator[](int64_t i) const { return at + i * row; }
};

// The left side of a product: a matrix as it is, or transposed.
template <class Real>
struct Side {
    const Real* at;
    int64_t row, column;
};
template <class Real>
inline Side<Real> plain(Matrix<Real> m) { return {m.at, m.row, 1}; }
template <class Real>
inline Side<Real> transposed(Matrix<Real> m) { return {m.at, 1, m.row}; }

// What a product leaves out. LOWER: the left side has zeros above its diagonal; UPPER: below it. BELOW: of the result only the
// blocks are wanted that reach to the diagonal or below.
enum Shape { WHOLE, LOWER, UPPER, BELOW };

// c (rows, columns) = left (rows, inner) b (inner, columns), added to what c is if `start` is TARGET.
template <class Real>
void product(Matrix<Real> c, Start start, Side<Real> left, Matrix<Real> b, int64_t rows, int64_t inner, int64_t columns, Shape shape = WHOLE) {
    for (int64_t n = 0; n < columns; n += BLOCK<Real>)
        for (int64_t i = 0; i < rows; i += MICRO) {
            const int m = rows - i < MICRO ? (int)(rows - i) : MICRO;
            if (shape == BELOW && n >= i + m) continue;
            const int64_t begin = shape == UPPER ? i : 0, end = shape == LOWER ? i + m : inner;
            // There is no bias; compilers want it to be somewhere.
            multiply_panel<Full<Real>>(m, left.at + i * left.row + begin * left.column, left.row, left.column, b[begin] + n, end - begin,
                                       start, c[i] + n, nullptr, 0, c[i] + n, c.row, b.row);
        }
}

// to += Σ factor_j x_j over `count` rows of x.
template <class Real>
inline void add_row_multiples(Real* to, const Real* factors, int64_t step, Matrix<Real> x, int64_t count, int64_t columns) {
    constexpr int L = LANES<Real>;
    for (int64_t n = 0; n < columns; n += BLOCK<Real>) {
        auto low = load<Real>(to + n), high = load<Real>(to + n + L);
        for (int64_t j = 0; j < count; j++) {
            low += factors[j * step] * load<Real>(x[j] + n);
            high += factors[j * step] * load<Real>(x[j] + n + L);
        }
        store<Real>(to + n, low);
        store<Real>(to + n + L, high);
    }
}

// x = (I - n)⁻¹ x, for n with zeros on its diagonal and above: a few rows at once from all before them, then each from those among them.
template <class Real>
void solve(Matrix<Real> x, Matrix<Real> n, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i += MICRO) {
        const int64_t m = rows - i < MICRO ? rows - i : MICRO;
        const Matrix<Real> here{x[i], x.row};
        if (i) product<Real>(here, TARGET, {n[i], n.row, 1}, x, m, i, columns);
        for (int64_t r = 1; r < m; r++) add_row_multiples<Real>(here[r], n[i + r] + i, 1, here, r, columns);
    }
}

// x = (I - nᵀ)⁻¹ x, from the last row on.
template <class Real>
void solve_transposed(Matrix<Real> x, Matrix<Real> n, int64_t rows, int64_t columns) {
    for (int64_t i = (rows - 1) / MICRO * MICRO; i >= 0; i -= MICRO) {
        const int64_t m = rows - i < MICRO ? rows - i : MICRO, end = i + m;
        const Matrix<Real> here{x[i], x.row};
        if (end < rows) product<Real>(here, TARGET, {n[end] + i, 1, n.row}, {x[end], x.row}, m, rows - end, columns);
        for (int64_t r = m - 2; r >= 0; r--)
            add_row_multiples<Real>(here[r], n[i + r + 1] + i + r, n.row, {here[r + 1], x.row}, m - 1 - r, columns);
    }
}

// The elements of two vectors in turns: of their first halves, or of their second.
template <class Real, size_t... I>
inline typename Simd<Real>::V in_turns(typename Simd<Real>::V a, typename Simd<Real>::V b, int half, std::index_sequence<I...>) {
    constexpr int L = LANES<Real>;
#if defined(__clang__)
    return half ? __builtin_shufflevector(a, b, (int)(L / 2 + I / 2 + I % 2 * L)...) : __builtin_shufflevector(a, b, (int)(I / 2 + I % 2 * L)...);
#else
    typedef typename Simd<Real>::I Indices;
    typedef typename Simd<Real>::Int Int;
    const Indices first = {(Int)(I / 2 + I % 2 * L)...};
    return __builtin_shuffle(a, b, half ? first + L / 2 : first);
#endif
}

// to (columns, rows) = from (rows, columns), transposed in squares of a vector's size: memory must be there for whole squares.
template <class Real>
void transpose(Matrix<Real> to, Matrix<Real> from, int64_t rows, int64_t columns) {
    constexpr int L = LANES<Real>;
    typedef typename Simd<Real>::V V;
    const std::make_index_sequence<L> all{};
    for (int64_t i = 0; i < rows; i += L)
        for (int64_t n = 0; n < columns; n += L) {
            V square[L], other[L];
            for (int r = 0; r < L; r++) square[r] = load<Real>(from[i + r] + n);
            // A row and the one half a square below it, in turns: after log2(L) rounds rows are columns.
            for (int round = 1; round < L; round *= 2) {
#pragma GCC unroll 16
                for (int r = 0; r < L / 2; r++) {
                    other[2 * r] = in_turns<Real>(square[r], square[r + L / 2], 0, all);
                    other[2 * r + 1] = in_turns<Real>(square[r], square[r + L / 2], 1, all);
                }
                for (int r = 0; r < L; r++) square[r] = other[r];
            }
            for (int r = 0; r < L; r++) store<Real>(to[n + r] + i, square[r]);
        }
}

// ---- rows, of which only the first `count` elements are read where they are summed -----------------------------------------

template <class Real>
inline Real dot(const Real* a, const Real* b, int64_t count) {
    constexpr int L = LANES<Real>;
    typename Simd<Real>::V sum{};
    const int64_t whole = count / L * L;
    for (int64_t n = 0; n < whole; n += L) sum += load<Real>(a + n) * load<Real>(b + n);
    Real total = 0;
    for (int l = 0; l < L; l++) total += sum[l];
    for (int64_t n = whole; n < count; n++) total += a[n] * b[n];
    return total;
}

// to_n = f(a_n, b_n), padding and all; a target may be an operand.
template <class Real, class Function>
inline void row_of(Real* to, const Real* a, const Real* b, int64_t columns, Function f) {
    constexpr int L = LANES<Real>;
    for (int64_t n = 0; n < columns; n += L) store<Real>(to + n, f(load<Real>(a + n), load<Real>(b + n)));
}

template <class Real>
inline void scale_row(Real* to, const Real* a, Real factor, int64_t columns) {
    row_of(to, a, a, columns, [=](auto x, auto) { return x * factor; });
}

template <class Real>
inline void multiply_row(Real* to, const Real* a, int64_t columns) {
    row_of(to, to, a, columns, [](auto x, auto y) { return x * y; });
}

template <class Real>
inline void add_scaled_row(Real* to, const Real* a, Real factor, int64_t columns) {
    row_of(to, to, a, columns, [=](auto x, auto y) { return x + factor * y; });
}

}  // namespace
