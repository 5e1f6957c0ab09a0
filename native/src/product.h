// Products over all steps at once: c = a b + bias, each thread a part of c, with panels of b of its own.
#pragma once
#include "../include/elman.h"
#include "micro.h"
#include "threads.h"

namespace {

// Inner indices and columns of b that are packed together: 512 KiB, for a second-level cache. No kind makes more of a number than four bytes.
constexpr int64_t INNER_CHUNK = 256;
constexpr int64_t PANEL_BYTES = 512 * 1024;

template <class Real>
constexpr int64_t PANELS = PANEL_BYTES / (INNER_CHUNK * BLOCK<Real> * sizeof(Real));

// Multiplications that one thread does sooner than it could call another.
constexpr int64_t SMALL_PRODUCT = 1 << 17;

constexpr int64_t align64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Of each thread: its panels, a tile for the columns at the right edge, and a group of rows of a, as they are read.
template <class Real>
int64_t product_bytes_per_thread() {
    return align64(PANEL_BYTES + TILE * BLOCK<Real> * sizeof(Real) + BLOCK<Real> * sizeof(Real) + GROUP * INNER_CHUNK * sizeof(Real));
}

template <class Kind>
struct Multiplication {
    typedef typename Kind::Element Real;
    typedef typename Kind::Left Left;
    const elman_product& p;

    void part(int64_t row_begin, int64_t row_end, int64_t block_begin, int64_t block_end, char* memory) const {
        Real* panels = (Real*)memory;
        Real* edge = (Real*)(memory + PANEL_BYTES);
        Real* bias = edge + TILE * BLOCK<Real>;
        Left* group = (Left*)(bias + BLOCK<Real>);
        for (int64_t block0 = block_begin; block0 < block_end; block0 += PANELS<Real>) {
            const int64_t block1 = block0 + PANELS<Real> < block_end ? block0 + PANELS<Real> : block_end;
            for (int64_t k0 = 0; k0 < p.k || k0 == 0; k0 += INNER_CHUNK) {
                const int64_t depth = k0 + INNER_CHUNK < p.k ? INNER_CHUNK : p.k - k0;
                for (int64_t block = block0; block < block1; block++)
                    pack(panels + (block - block0) * INNER_CHUNK * BLOCK<Real>, k0, depth, block * BLOCK<Real>);
                for (int64_t row = row_begin; row < row_end; row += GROUP) {
                    const int rows = row + GROUP < row_end ? GROUP : (int)(row_end - row);
                    int64_t a_row, a_column;
                    const Left* a = Kind::left((const Real*)p.a + row * p.a_row + k0 * p.a_column, p.a_row, p.a_column, rows, depth, group,
                                               &a_row, &a_column);
                    for (int m = 0; m < rows; m += TILE)
                        for (int64_t block = block0; block < block1; block++)
                            tile(row + m, rows - m < TILE ? rows - m : TILE, block, a + m * a_row, a_row, a_column,
                                 panels + (block - block0) * INNER_CHUNK * BLOCK<Real>, depth, k0 == 0, edge, bias);
                }
            }
        }
    }

    void pack(Real* to, int64_t k0, int64_t depth, int64_t column) const {
        const Real* from = (const Real*)p.b + k0 * p.b_row + column * p.b_column;
        Kind::pack(to, from, p.b_row, p.b_column, depth, p.n - column < BLOCK<Real> ? (int)(p.n - column) : BLOCK<Real>);
    }

    void tile(int64_t row, int rows, int64_t block, const Left* a, int64_t a_row, int64_t a_column,
              const Real* panel, int64_t inner, bool first, Real* edge, Real* bias) const {
        const int64_t column = block * BLOCK<Real>;
        const int columns = p.n - column < BLOCK<Real> ? (int)(p.n - column) : BLOCK<Real>;
        Real* c = (Real*)p.c + row * p.c_row + column;
        const Real* begin = p.bias ? (const Real*)p.bias + column : nullptr;
        const Start start = !first || p.accumulate ? TARGET : begin ? BIAS : ZERO;
        if (columns == BLOCK<Real>) {
            Kind::multiply(rows, a, a_row, a_column, panel, inner, start, begin, nullptr, 0, c, p.c_row);
            return;
        }
        for (int n = 0; start == BIAS && n < columns; n++) bias[n] = begin[n];
        for (int m = 0; start == TARGET && m < rows; m++) memcpy(edge + m * BLOCK<Real>, c + m * p.c_row, columns * sizeof(Real));
        Kind::multiply(rows, a, a_row, a_column, panel, inner, start, bias, nullptr, 0, edge, BLOCK<Real>);
        for (int m = 0; m < rows; m++) memcpy(c + m * p.c_row, edge + m * BLOCK<Real>, columns * sizeof(Real));
    }
};

template <class Kind>
void multiply(const elman_product* p) {
    typedef typename Kind::Element Real;
    if constexpr (Kind::in_place) {
        if (p->m <= FEW_ROWS && p->b_row == 1 && p->a_column == 1 && !p->accumulate) {
            run_parallel(p->n * p->k < SMALL_PRODUCT ? 1 : p->threads, [&](int rank, int ranks) {
                const int64_t begin = p->n * rank / ranks, end = p->n * (rank + 1) / ranks;
                multiply_few_rows<Real>((int)p->m, (const Real*)p->a, p->a_row, (const Real*)p->b + begin * p->b_column, p->b_column, p->k,
                                        (int)(end - begin), p->bias ? (const Real*)p->bias + begin : nullptr, nullptr, 0,
                                        (Real*)p->c + begin, p->c_row);
            });
            return;
        }
    }
    const int64_t blocks = (p->n + BLOCK<Real> - 1) / BLOCK<Real>, tiles = (p->m + TILE - 1) / TILE;
    run_parallel(p->m * p->n * p->k < SMALL_PRODUCT ? 1 : p->threads, [&](int rank, int ranks) {
        [[maybe_unused]] const typename Kind::Session session;
        // By columns where each thread gets many, as each panel is then packed once; else by rows, each of which then meets them all.
        // Where rows are gathered too, what is split is what there is more of.
        const bool gathered = p->a_row == 1 && p->a_column != 1;
        const bool by_columns = (gathered ? p->m < p->n : blocks >= 8 * ranks) || tiles < ranks;
        char* memory = (char*)p->workspace + rank * product_bytes_per_thread<Real>();
        const Multiplication<Kind> work{*p};
        if (by_columns) {
            work.part(0, p->m, blocks * rank / ranks, blocks * (rank + 1) / ranks, memory);
        } else {
            const int64_t end = tiles * (rank + 1) / ranks * TILE;
            work.part(tiles * rank / ranks * TILE, end < p->m ? end : p->m, 0, blocks, memory);
        }
    });
}

}  // namespace
