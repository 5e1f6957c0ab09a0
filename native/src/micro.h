// The micro-kernel: a few rows times a panel of one column block, accumulated in registers over the whole inner size.
// A sum runs over the inner index in order, in one accumulator: whatever tile an element is computed in, its bits are the same.
#pragma once
#include "simd.h"

namespace {

// Rows of the left side that are made ready together: where they don't run along the inner index, a line of the cache.
constexpr int GROUP = 2 * TILE;

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

// c (rows, BLOCK) = a (rows, inner) panel + bias + addend (rows, BLOCK; may be null), for any number of rows. `inner` counts lines of
// the panel, from one to the next of which are `panel_row` elements.
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

// What a kind of product needs of each thread while it works: nothing, but for tiles.
struct NoSession {};

// A kind of product says what a panel and the left side look like, and multiplies them. This one: numbers as they are. A panel
// holds the block's weights as [inner][BLOCK]; the left side is read as it stands.
template <class Real>
struct Full {
    typedef Real Element;
    typedef Real Left;
    typedef typename Simd<Real>::V V;
    typedef NoSession Session;
    // Whether the left side is read in place by a recurrence; else `make_row` makes `row_of_left` numbers of each row, and that
    // many rows beyond the last may be read.
    static constexpr bool in_place = true;
    static constexpr int rows_beyond = 0;
    // Lines of a panel, of BLOCK elements.
    static constexpr int64_t lines(int64_t inner) { return inner; }
    static constexpr int64_t row_of_left(int64_t) { return 0; }

    static inline V step(V sum, Left a, V b) { return sum + a * b; }

    static void pack(Real* to, const Real* from, int64_t row, int64_t column, int64_t inner, int columns) {
        pack_panel<Real>(to, from, row, column, inner, columns);
    }

    static void make_row(Left*, const Real*, int64_t) {}

    // Up to GROUP rows of a left side, as they stand if they run along the inner index. Else they are gathered: from one inner index
    // to the next it is a whole row, often a page of its own and a place in the cache that all share.
    static const Left* left(const Real* a, int64_t row, int64_t column, int rows, int64_t inner, Left* to, int64_t* to_row,
                            int64_t* to_column) {
        if (row != 1 || column == 1) {
            *to_row = row, *to_column = column;
            return a;
        }
        *to_row = 1, *to_column = GROUP;
        if (rows == GROUP)
            for (int64_t k = 0; k < inner; k++) memcpy(to + k * GROUP, a + k * column, GROUP * sizeof(Real));
        else
            for (int64_t k = 0; k < inner; k++) memcpy(to + k * GROUP, a + k * column, rows * sizeof(Real));
        return to;
    }

    static void multiply(int rows, const Left* a, int64_t a_row, int64_t a_column, const Real* panel, int64_t inner, Start start,
                         const Real* bias, const Real* addend, int64_t addend_row, Real* c, int64_t c_row) {
        multiply_panel<Full>(rows, a, a_row, a_column, panel, inner, start, bias, addend, addend_row, c, c_row);
    }
};

}  // namespace
