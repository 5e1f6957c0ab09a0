// bf16: rounding, and pairs of numbers along the inner index, as processors multiply them. Kind of a product: Pairs.
#pragma once
#include <immintrin.h>

#include "micro.h"

namespace {

// fp32 to bf16, rounded to nearest, ties to even; NaN stays NaN.
inline uint32_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

inline float from_bf16(uint32_t half) {
    const uint32_t bits = half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// x as a sum of numbers of bf16: what is left for part PART once those before it are taken away.
template <int PART>
inline float rest(float x) {
    if constexpr (PART > 0) return rest<PART - 1>(x) - from_bf16(to_bf16(rest<PART - 1>(x)));
    return x;
}

template <int PART>
inline __m512 rest(__m512 x) {
    if constexpr (PART > 0) {
        const __m512 before = rest<PART - 1>(x);
        const __m512i half = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(before));
        return _mm512_sub_ps(before, _mm512_castsi512_ps(_mm512_slli_epi32(half, 16)));
    }
    return x;
}

template <int PART>
inline uint32_t pair_of(float low, float high) {
    return to_bf16(rest<PART>(low)) | to_bf16(rest<PART>(high)) << 16;
}

// Pairs of two lines (inner index k and k + 1; NULL: zeros) of n numbers each.
template <int PART>
inline void interleave(uint32_t* to, const float* low, const float* high, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 inside = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : (__mmask16)-1;
        const __m512 b = high ? _mm512_maskz_loadu_ps(inside, high + i) : _mm512_setzero_ps();
        const __m512 a = _mm512_maskz_loadu_ps(inside, low + i);
        const __m512i low_half = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(rest<PART>(a)));
        const __m512i high_half = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(rest<PART>(b)));
        _mm512_mask_storeu_epi32(to + i, inside, _mm512_or_si512(low_half, _mm512_slli_epi32(high_half, 16)));
    }
}

// Pairs of one row: to[k / 2] holds from[k] and from[k + 1].
template <int PART>
inline void pair_row(uint32_t* to, const float* from, int64_t n) {
    int64_t k = 0;
    for (; k + 32 <= n; k += 32) {
        const __m512 low = rest<PART>(_mm512_loadu_ps(from + k)), high = rest<PART>(_mm512_loadu_ps(from + k + 16));
        _mm512_storeu_si512(to + k / 2, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    for (; k < n; k += 2) to[k / 2] = pair_of<PART>(from[k], k + 1 < n ? from[k + 1] : 0.0f);
}

// Lines of a panel, each of the pairs of two inner indices.
template <int PART>
inline void pack_pairs(uint32_t* to, const float* from, int64_t row, int64_t column, int64_t inner, int columns) {
    for (int64_t k = 0; k < inner; k += 2, to += BLOCK<float>) {
        const float *low = from + k * row, *high = k + 1 < inner ? low + row : nullptr;
        if (column == 1) interleave<PART>(to, low, high, columns);
        else
            for (int n = 0; n < columns; n++) to[n] = pair_of<PART>(low[n * column], high ? high[n * column] : 0.0f);
        for (int n = columns; n < BLOCK<float>; n++) to[n] = 0;
    }
}

// Two products a step: a pair of bf16 of the left side times each pair of the panel, summed in fp32.
struct Pairs {
    typedef float Element;
    typedef uint32_t Left;
    typedef f32v V;
    typedef NoSession Session;
    static constexpr bool in_place = false;
    static constexpr int rows_beyond = 0;
    static constexpr int64_t lines(int64_t inner) { return (inner + 1) / 2; }
    static constexpr int64_t row_of_left(int64_t inner) { return lines(inner); }

    static inline V step(V sum, Left a, V b) {
        return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)a), (__m512bh)b);
    }

    static void pack(float* to, const float* from, int64_t row, int64_t column, int64_t inner, int columns) {
        pack_pairs<0>((uint32_t*)to, from, row, column, inner, columns);
    }

    static void make_row(Left* to, const float* from, int64_t inner) { pair_row<0>(to, from, inner); }

    static const Left* left(const float* a, int64_t row, int64_t column, int rows, int64_t inner, Left* to, int64_t* to_row,
                            int64_t* to_column) {
        if (column == 1) {
            *to_row = lines(inner), *to_column = 1;
            for (int m = 0; m < rows; m++) make_row(to + m * *to_row, a + m * row, inner);
            return to;
        }
        *to_row = 1, *to_column = GROUP;
        for (int64_t k = 0; k < inner; k += 2) {
            const float *low = a + k * column, *high = k + 1 < inner ? low + column : nullptr;
            if (row == 1) interleave<0>(to + k / 2 * GROUP, low, high, rows);
            else
                for (int m = 0; m < rows; m++) to[k / 2 * GROUP + m] = pair_of<0>(low[m * row], high ? high[m * row] : 0.0f);
        }
        return to;
    }

    static void multiply(int rows, const Left* a, int64_t a_row, int64_t a_column, const float* panel, int64_t inner, Start start,
                         const float* bias, const float* addend, int64_t addend_row, float* c, int64_t c_row) {
        multiply_panel<Pairs>(rows, a, a_row, a_column, panel, lines(inner), start, bias, addend, addend_row, c, c_row);
    }
};

}  // namespace
