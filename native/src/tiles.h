// AMX: registers of sixteen lines of 64 bytes, and products of them. Kind of a product: Parts.
//
// With ELMAN_TILE_MODEL the registers are arrays and their products loops, as the processor's manual describes them: so the tests
// go through everything here on machines that have no tiles.
#pragma once
#include "bf16.h"

namespace {

constexpr int TILE_LINES = 16;
static_assert(TILE == TILE_LINES && LANES<float> == 16, "a tile of the program is one of the processor's");

#if defined(ELMAN_TILE_MODEL)
thread_local float tile_model[8][TILE_LINES][16];

inline void tile_zero(int tile) { memset(tile_model[tile], 0, sizeof tile_model[tile]); }

inline void tile_load(int tile, const void* from, int64_t stride) {
    for (int m = 0; m < TILE_LINES; m++) memcpy(tile_model[tile][m], (const char*)from + m * stride, 64);
}

inline void tile_store(int tile, void* to, int64_t stride) {
    for (int m = 0; m < TILE_LINES; m++) memcpy((char*)to + m * stride, tile_model[tile][m], 64);
}

// Of each pair the products are summed by themselves, and both sums added at the end.
inline void tile_multiply(int c, int a, int b) {
    for (int m = 0; m < TILE_LINES; m++) {
        float sum[2][16] = {};
        for (int k = 0; k < TILE_LINES; k++) {
            uint32_t left, right[16];
            memcpy(&left, &tile_model[a][m][k], 4);
            memcpy(right, tile_model[b][k], 64);
            for (int n = 0; n < 16; n++) {
                sum[0][n] += from_bf16(left & 0xffff) * from_bf16(right[n] & 0xffff);
                sum[1][n] += from_bf16(left >> 16) * from_bf16(right[n] >> 16);
            }
        }
        for (int n = 0; n < 16; n++) tile_model[c][m][n] += sum[0][n] + sum[1][n];
    }
}

typedef NoSession TileSession;
#define ELMAN_TILE_ZERO tile_zero
#define ELMAN_TILE_LOAD tile_load
#define ELMAN_TILE_STORE tile_store
#define ELMAN_TILE_MULTIPLY tile_multiply
#else
// Numbers of tiles are part of an instruction's name. The compiler isn't told what memory a load reads: nothing may pass it.
#define ELMAN_TILE_ZERO(tile) _tile_zero(tile)
#define ELMAN_TILE_LOAD(tile, from, stride)  \
    do {                                     \
        __asm__ volatile("" ::: "memory");   \
        _tile_loadd(tile, from, stride);     \
    } while (0)
#define ELMAN_TILE_STORE(tile, to, stride)   \
    do {                                     \
        _tile_stored(tile, to, stride);      \
        __asm__ volatile("" ::: "memory");   \
    } while (0)
#define ELMAN_TILE_MULTIPLY(c, a, b) _tile_dpbf16ps(c, a, b)

// A thread's tiles, eight whole ones, for as long as it multiplies.
class TileSession {
public:
    TileSession() {
        struct alignas(64) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t line_bytes[16] = {};
            uint8_t lines[16] = {};
        } form;
        static_assert(sizeof form == 64);
        for (int tile = 0; tile < 8; tile++) form.line_bytes[tile] = 64, form.lines[tile] = TILE_LINES;
        // The compiler thinks that eight bytes are read.
        __asm__ volatile("" ::"r"(&form) : "memory");
        _tile_loadconfig(&form);
    }
    ~TileSession() { _tile_release(); }
    TileSession(const TileSession&) = delete;
};
#endif

// Sixteen lines of sixteen words, turned about: word i of line j becomes word j of line i.
inline void turn(uint32_t* to, int64_t to_row, const uint32_t* from, int64_t from_row) {
    __m512i r[16], s[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(from + i * from_row);
    for (int i = 0; i < 16; i += 2) s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]), s[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            r[i + 2 * j] = _mm512_unpacklo_epi64(s[i + j], s[i + 2 + j]);
            r[i + 2 * j + 1] = _mm512_unpackhi_epi64(s[i + j], s[i + 2 + j]);
        }
    // r[4 b + i] has, in its quarter q, words 4 b to 4 b + 3 of the result's line 4 q + i.
    for (int i = 0; i < 4; i++) {
        const __m512i low0 = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88), low1 = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
        const __m512i high0 = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd), high1 = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
        _mm512_storeu_si512(to + i * to_row, _mm512_shuffle_i32x4(low0, low1, 0x88));
        _mm512_storeu_si512(to + (4 + i) * to_row, _mm512_shuffle_i32x4(high0, high1, 0x88));
        _mm512_storeu_si512(to + (8 + i) * to_row, _mm512_shuffle_i32x4(low0, low1, 0xdd));
        _mm512_storeu_si512(to + (12 + i) * to_row, _mm512_shuffle_i32x4(high0, high1, 0xdd));
    }
}

// Numbers as sums of COUNT numbers of bf16, and of their products all but the smallest: one is bf16, two are nearly fp32. Panels
// and rows hold one part after the other, each of whole tiles, filled up with zeros.
template <int COUNT>
struct Parts {
    typedef float Element;
    typedef uint32_t Left;
    typedef TileSession Session;
    static constexpr bool in_place = false;
    static constexpr int rows_beyond = TILE_LINES - 1;
    // Pairs of one part, in whole tiles.
    static constexpr int64_t pairs(int64_t inner) { return (inner + 2 * TILE_LINES - 1) / (2 * TILE_LINES) * TILE_LINES; }
    static constexpr int64_t lines(int64_t inner) { return COUNT * pairs(inner); }
    static constexpr int64_t row_of_left(int64_t inner) { return COUNT * pairs(inner); }

    static void pack(float* to, const float* from, int64_t row, int64_t column, int64_t inner, int columns) {
        pack_part<0>(to, from, row, column, inner, columns);
        if constexpr (COUNT > 1) pack_part<1>(to + pairs(inner) * BLOCK<float>, from, row, column, inner, columns);
    }

    static void make_row(Left* to, const float* from, int64_t inner) {
        pair_row<0>(to, from, inner);
        clear(to, inner, 1);
        if constexpr (COUNT == 1) return;
        pair_row<1>(to + pairs(inner), from, inner);
        clear(to + pairs(inner), inner, 1);
    }

    static const Left* left(const float* a, int64_t row, int64_t column, int rows, int64_t inner, Left* to, int64_t* to_row,
                            int64_t* to_column) {
        *to_row = row_of_left(inner), *to_column = 1;
        if (column == 1)
            for (int m = 0; m < rows; m++) make_row(to + m * *to_row, a + m * row, inner);
        else
            for (int m = 0; m < rows; m += TILE_LINES) {
                const int there = rows - m < TILE_LINES ? rows - m : TILE_LINES;
                turn_part<0>(to + m * *to_row, *to_row, a + m * row, row, column, there, inner);
                if constexpr (COUNT > 1) turn_part<1>(to + m * *to_row + pairs(inner), *to_row, a + m * row, row, column, there, inner);
            }
        return to;
    }

    // At most one tile of rows.
    static void multiply(int rows, const Left* a, int64_t a_row, int64_t, const float* panel, int64_t inner, Start start,
                         const float* bias, const float* addend, int64_t addend_row, float* c, int64_t c_row) {
        alignas(64) float edge[TILE_LINES * BLOCK<float>];
        // A whole tile is written, so that c must have one.
        float* to = rows == TILE_LINES ? c : edge;
        const int64_t to_row = rows == TILE_LINES ? c_row : BLOCK<float>;
        if (start == ZERO && !addend) {
            ELMAN_TILE_ZERO(0);
            ELMAN_TILE_ZERO(1);
        } else {
            for (int m = 0; m < rows; m++)
                for (int n = 0; n < BLOCK<float>; n += 16) {
                    f32v sum = start == BIAS ? load<float>(bias + n) : start == TARGET ? load<float>(c + m * c_row + n) : f32v{};
                    if (addend) sum += load<float>(addend + m * addend_row + n);
                    store<float>(to + m * to_row + n, sum);
                }
            ELMAN_TILE_LOAD(0, to, to_row * 4);
            ELMAN_TILE_LOAD(1, to + 16, to_row * 4);
        }
        const int64_t part = pairs(inner), panel_part = part * BLOCK<float>;
        for (int64_t k = 0; k < part; k += TILE_LINES) {
            const float* right = panel + k * BLOCK<float>;
            ELMAN_TILE_LOAD(2, a + k, a_row * 4);
            ELMAN_TILE_LOAD(3, right, BLOCK<float> * 4);
            ELMAN_TILE_LOAD(4, right + 16, BLOCK<float> * 4);
            ELMAN_TILE_MULTIPLY(0, 2, 3);
            ELMAN_TILE_MULTIPLY(1, 2, 4);
            if constexpr (COUNT > 1) {
                ELMAN_TILE_LOAD(5, a + part + k, a_row * 4);
                ELMAN_TILE_LOAD(6, right + panel_part, BLOCK<float> * 4);
                ELMAN_TILE_LOAD(7, right + panel_part + 16, BLOCK<float> * 4);
                ELMAN_TILE_MULTIPLY(0, 5, 3);
                ELMAN_TILE_MULTIPLY(1, 5, 4);
                ELMAN_TILE_MULTIPLY(0, 2, 6);
                ELMAN_TILE_MULTIPLY(1, 2, 7);
            }
        }
        ELMAN_TILE_STORE(0, to, to_row * 4);
        ELMAN_TILE_STORE(1, to + 16, to_row * 4);
        if (rows < TILE_LINES)
            for (int m = 0; m < rows; m++) memcpy(c + m * c_row, edge + m * BLOCK<float>, BLOCK<float> * sizeof(float));
    }

private:
    // Zeros behind the last pair of a row or line, up to a whole tile.
    static void clear(uint32_t* to, int64_t inner, int64_t width) {
        const int64_t full = (inner + 1) / 2;
        memset(to + full * width, 0, (pairs(inner) - full) * width * sizeof(uint32_t));
    }

    template <int PART>
    static void pack_part(float* to, const float* from, int64_t row, int64_t column, int64_t inner, int columns) {
        pack_pairs<PART>((uint32_t*)to, from, row, column, inner, columns);
        clear((uint32_t*)to, inner, BLOCK<float>);
    }

    // Rows that don't run along the inner index.
    template <int PART>
    static void turn_part(uint32_t* to, int64_t to_row, const float* a, int64_t row, int64_t column, int rows, int64_t inner) {
        for (int64_t k0 = 0; k0 < inner; k0 += 2 * TILE_LINES) {
            uint32_t square[TILE_LINES * TILE_LINES] = {};
            for (int64_t k = k0; k < k0 + 2 * TILE_LINES && k < inner; k += 2) {
                const float *low = a + k * column, *high = k + 1 < inner ? low + column : nullptr;
                uint32_t* line = square + (k - k0) / 2 * TILE_LINES;
                if (row == 1) interleave<PART>(line, low, high, rows);
                else
                    for (int m = 0; m < rows; m++) line[m] = pair_of<PART>(low[m * row], high ? high[m * row] : 0.0f);
            }
            turn(to + k0 / 2, to_row, square, TILE_LINES);
        }
    }
};

}  // namespace
