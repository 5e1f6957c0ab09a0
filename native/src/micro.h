// The micro-kernel: a few rows times a panel of one column block, accumulated in registers over the whole inner size.
// A sum runs over the inner index in order, in one accumulator: whatever tile an element is computed in, its bits are the same.
#pragma once
#include "simd.h"
#if defined(ELMAN_HAS_BF16)
#include <immintrin.h>
#endif

namespace {

// A packed panel holds the block's weights as [inner][BLOCK]; in bf16 as pairs, [inner / 2][BLOCK][2], the last odd one beside a zero.
// A block of columns of a matrix is a panel as it stands, if its rows are as long in memory as columns of whole blocks.
template <class Real>
struct Full {
    typedef Real Element;
    typedef Real Left;
    static constexpr int pair = 1;
    typedef typename Simd<Real>::V V;
    static inline V step(V sum, Left a, V b) { return sum + a * b; }
};

#if defined(ELMAN_HAS_BF16)
// Two products a step: a pair of bf16 of the left side times each pair of the panel, summed in fp32.
struct Pairs {
    typedef float Element;
    typedef uint32_t Left;
    static constexpr int pair = 2;
    typedef f32v V;
    static inline V step(V sum, Left a, V b) {
        return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)a), (__m512bh)b);
    }
};
#endif

enum Start { ZERO, BIAS, TARGET };  // what the sums begin with

template <class Kind, int M>
void multiply_rows(const typename Kind::Left* a, int64_t a_row, int64_t a_column, const typename Kind::Element* panel,
                   int64_t panel_row, int64_t inner, Start start, const typename Kind::Element* bias, const typename Kind::Element* addend,
                   int64_t addend_row, typename Kind::Element* c, int64_t c_row) {
    typedef typename Kind::V V;
    typedef typename Kind::Element Real;
    constexpr int L = LANES<Real>;
    V sum[M][2];
    for (int m = 0; m < M; m++)
        for (int n = 0; n < 2; n++)
            sum[m][n] = start == BIAS ? load<Real>(bias + n * L) : start == TARGET ? load<Real>(c + m * c_row + n * L) : V{};
    for (int m = 0; addend && m < M; m++)
        for (int n = 0; n < 2; n++) sum[m][n] += load<Real>(addend + m * addend_row + n * L);
    for (int64_t k = 0; k < inner; k++) {
        V b[2] = {load<Real>(panel), load<Real>(panel + L)};
        panel += panel_row;
#pragma GCC unroll 8
        for (int m = 0; m < M; m++) {
            typename Kind::Left x = a[m * a_row];
            sum[m][0] = Kind::step(sum[m][0], x, b[0]);
            sum[m][1] = Kind::step(sum[m][1], x, b[1]);
        }
        a += a_column;
    }
    for (int m = 0; m < M; m++)
        for (int n = 0; n < 2; n++) store<Real>(c + m * c_row + n * L, sum[m][n]);
}

// c (rows, BLOCK) = a (rows, inner) panel + bias + addend (rows, BLOCK; may be null), for any number of rows. `inner` counts pairs where the
// kind has pairs; from one line of the panel to the next are `panel_row` elements.
template <class Kind>
void multiply_panel(int rows, const typename Kind::Left* a, int64_t a_row, int64_t a_column, const typename Kind::Element* panel,
                    int64_t inner, Start start, const typename Kind::Element* bias, const typename Kind::Element* addend,
                    int64_t addend_row, typename Kind::Element* c, int64_t c_row, int64_t panel_row = BLOCK<typename Kind::Element>) {
    for (; rows > 0; rows -= MICRO, a += MICRO * a_row, c += MICRO * c_row, addend += addend ? MICRO * addend_row : 0) {
#define ELMAN_ROWS_CASE(M) \
    case M: multiply_rows<Kind, M>(a, a_row, a_column, panel, panel_row, inner, start, bias, addend, addend_row, c, c_row); break;
        switch (rows < MICRO ? rows : MICRO) {
            ELMAN_ROWS_CASE(1)
            ELMAN_ROWS_CASE(2)
            ELMAN_ROWS_CASE(3)
            ELMAN_ROWS_CASE(4)
#if ELMAN_REGISTERS >= 32
            ELMAN_ROWS_CASE(5)
            ELMAN_ROWS_CASE(6)
            ELMAN_ROWS_CASE(7)
            ELMAN_ROWS_CASE(8)
#endif
        }
#undef ELMAN_ROWS_CASE
    }
}

// The same for so few rows that packing the weights would take longer than the product: weights as they stand, element (n, k) at
// w[n * w_row + k], summed in lanes. c (rows, columns).
constexpr int FEW_ROWS = 4;

template <class Real>
void multiply_few_rows(int rows, const Real* a, int64_t a_row, const Real* w, int64_t w_row, int64_t inner, int columns, const Real* bias,
                       const Real* addend, int64_t addend_row, Real* c, int64_t c_row) {
    typedef typename Simd<Real>::V V;
    constexpr int L = LANES<Real>, AT_ONCE = 4;
    const int64_t whole = inner / L * L;
    for (int n0 = 0; n0 < columns; n0 += AT_ONCE) {
        const int count = columns - n0 < AT_ONCE ? columns - n0 : AT_ONCE;
        const Real* line[AT_ONCE];
        for (int j = 0; j < AT_ONCE; j++) line[j] = w + (n0 + (j < count ? j : 0)) * w_row;
        for (int m = 0; m < rows; m++) {
            const Real* left = a + m * a_row;
            V sum[AT_ONCE] = {};
            for (int64_t k = 0; k < whole; k += L) {
                const V x = load<Real>(left + k);
                for (int j = 0; j < AT_ONCE; j++) sum[j] += x * load<Real>(line[j] + k);
            }
            for (int j = 0; j < count; j++) {
                Real total = bias ? bias[n0 + j] : Real(0);
                if (addend) total += addend[m * addend_row + n0 + j];
                for (int l = 0; l < L; l++) total += sum[j][l];
                for (int64_t k = whole; k < inner; k++) total += left[k] * line[j][k];
                c[m * c_row + n0 + j] = total;
            }
        }
    }
}

// One line of a panel: `columns` elements, `stride` apart, and zeros up to the block's width.
template <class Real>
inline void pack_line(Real* to, const Real* from, int64_t stride, int columns) {
    if (columns == BLOCK<Real> && stride == 1) {
        store<Real>(to, load<Real>(from));
        store<Real>(to + LANES<Real>, load<Real>(from + LANES<Real>));
        return;
    }
    for (int n = 0; n < columns; n++) to[n] = from[n * stride];
    for (int n = columns; n < BLOCK<Real>; n++) to[n] = 0;
}

// Element (k, n) of the block is at from[k * row + n * column].
template <class Real>
void pack_panel(Real* to, const Real* from, int64_t row, int64_t column, int64_t inner, int columns) {
    if (row == 1 && column != 1) {
        // The source runs along the inner index: read in small squares, so that each of its cache lines is read once.
        for (int64_t k0 = 0; k0 < inner; k0 += 16) {
            const int64_t k1 = k0 + 16 < inner ? k0 + 16 : inner;
            for (int n = 0; n < columns; n++)
                for (int64_t k = k0; k < k1; k++) to[k * BLOCK<Real> + n] = from[k + n * column];
            for (int64_t k = k0; k < k1; k++)
                for (int n = columns; n < BLOCK<Real>; n++) to[k * BLOCK<Real> + n] = 0;
        }
        return;
    }
    for (int64_t k = 0; k < inner; k++) pack_line<Real>(to + k * BLOCK<Real>, from + k * row, column, columns);
}

// fp32 to bf16, rounded to nearest, ties to even; NaN stays NaN.
inline uint32_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

inline uint32_t pair_of(float low, float high) { return to_bf16(low) | to_bf16(high) << 16; }

#if defined(ELMAN_HAS_BF16)
// Pairs along the inner index of two lines (inner index k and k + 1; NULL: zeros) of n numbers each.
inline void interleave(uint32_t* to, const float* low, const float* high, int64_t n) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m512i a = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(low + i)));
        const __m512i b = high ? _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(high + i))) : _mm512_setzero_si512();
        _mm512_storeu_si512(to + i, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
    }
    for (; i + 8 <= n; i += 8) {
        const __m256i a = _mm256_cvtepu16_epi32((__m128i)_mm256_cvtneps_pbh(_mm256_loadu_ps(low + i)));
        const __m256i b = high ? _mm256_cvtepu16_epi32((__m128i)_mm256_cvtneps_pbh(_mm256_loadu_ps(high + i))) : _mm256_setzero_si256();
        _mm256_storeu_si256((__m256i*)(to + i), _mm256_or_si256(a, _mm256_slli_epi32(b, 16)));
    }
    for (; i < n; i++) to[i] = pair_of(low[i], high ? high[i] : 0.0f);
}

// Pairs of one row: to[k / 2] holds from[k] and from[k + 1].
inline void pair_row(uint32_t* to, const float* from, int64_t n) {
    int64_t k = 0;
    for (; k + 32 <= n; k += 32)
        _mm512_storeu_si512(to + k / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + k + 16), _mm512_loadu_ps(from + k)));
    for (; k < n; k += 2) to[k / 2] = pair_of(from[k], k + 1 < n ? from[k + 1] : 0.0f);
}

inline void pack_pairs(float* to, const float* from, int64_t row, int64_t column, int64_t inner, int columns) {
    uint32_t* pairs = (uint32_t*)to;
    for (int64_t k = 0; k < inner; k += 2, pairs += BLOCK<float>) {
        const float *low = from + k * row, *high = k + 1 < inner ? low + row : nullptr;
        if (column == 1 && columns == BLOCK<float>) {
            interleave(pairs, low, high, BLOCK<float>);
            continue;
        }
        for (int n = 0; n < columns; n++) pairs[n] = pair_of(low[n * column], high ? high[n * column] : 0.0f);
        for (int n = columns; n < BLOCK<float>; n++) pairs[n] = 0;
    }
}
#endif

}  // namespace
