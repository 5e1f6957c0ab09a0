// The operations of a program, each on a tile: `rows` rows of one column block. An operand is a pointer to its first row and
// the distance to the next, 0 for what all rows share. A target may be an operand. Each operation is there once more, asking
// for memory that will be read later: so much ahead of each operand, in bytes.
#pragma once
#include "../include/elman.h"
#include "functions.h"

namespace {

template <class Real>
using Operation = void (*)(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* b, int64_t b_row, int rows);

struct Ahead {
    int64_t d, a, b;
};

template <class Real>
using OperationAhead = void (*)(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* b, int64_t b_row, int rows, Ahead ahead);

// The lines of a block, that far from here; nothing is read, so that it need not be there.
template <class Real>
inline void ask_for(const Real* here, int64_t bytes) {
    for (int line = 0; line < BLOCK<Real> * (int)sizeof(Real); line += 64) __builtin_prefetch((const char*)((uintptr_t)here + bytes + line), 0, 2);
}

struct Nothing {};
template <class Real>
inline void ask(const Real*, const Real*, const Real*, Nothing) {}
template <class Real>
inline void ask(const Real* d, const Real* a, const Real* b, Ahead ahead) {
    ask_for(a, ahead.a);
    ask_for(b, ahead.b);
    ask_for(d, ahead.d);
}

template <class Real, class Function, class MaybeAhead>
inline void each(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* b, int64_t b_row, int rows, MaybeAhead ahead, Function f) {
    constexpr int L = LANES<Real>;
    for (int r = 0; r < rows; r++, d += d_row, a += a_row, b += b_row) {
        ask(d, a, b, ahead);
        auto low = f(load<Real>(a), load<Real>(b));
        auto high = f(load<Real>(a + L), load<Real>(b + L));
        store<Real>(d, low);
        store<Real>(d + L, high);
    }
}

// The second operand of a function of one is the first again.
#define ELMAN_OPERATION(name, expression)                                                                                 \
    template <class Real>                                                                                                 \
    void name(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* b, int64_t b_row, int rows) {             \
        typedef typename Simd<Real>::V V;                                                                                 \
        each(d, d_row, a, a_row, b, b_row, rows, Nothing{}, [](V x, V y) -> V { (void)y; return expression; });           \
    }                                                                                                                     \
    template <class Real>                                                                                                 \
    void name##_ahead(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* b, int64_t b_row, int rows, Ahead ahead) { \
        typedef typename Simd<Real>::V V;                                                                                 \
        each(d, d_row, a, a_row, b, b_row, rows, ahead, [](V x, V y) -> V { (void)y; return expression; });               \
    }

ELMAN_OPERATION(op_copy, x)
ELMAN_OPERATION(op_add, x + y)
ELMAN_OPERATION(op_sub, x - y)
ELMAN_OPERATION(op_mul, x* y)
ELMAN_OPERATION(op_div, x / y)
ELMAN_OPERATION(op_neg, -x)
ELMAN_OPERATION(op_sigmoid, logistic<Real>(x))
ELMAN_OPERATION(op_tanh, hyperbolic_tangent<Real>(x))
// NaN is not less than zero, and passes.
ELMAN_OPERATION(op_relu, x < 0 ? V{} : x)
ELMAN_OPERATION(op_exp, exponential<Real>(x))
ELMAN_OPERATION(op_log, logarithm<Real>(x))
ELMAN_OPERATION(op_softplus, softplus<Real>(x))
// A NaN is not equal to itself.
ELMAN_OPERATION(op_max, ((x > y) | (x != x)) ? x : y)
ELMAN_OPERATION(op_min, ((x < y) | (x != x)) ? x : y)
ELMAN_OPERATION(op_at_least, x >= y ? V{} + Real(1) : V{})
ELMAN_OPERATION(op_d_sigmoid, x*(y - y * y))
ELMAN_OPERATION(op_d_tanh, x - x * (y * y))
ELMAN_OPERATION(op_d_relu, y <= 0 ? V{} : x)
#undef ELMAN_OPERATION

template <class Real>
void op_sqrt(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real*, int64_t, int rows) {
    for (int r = 0; r < rows; r++, d += d_row, a += a_row)
        for (int n = 0; n < BLOCK<Real>; n++)
            if constexpr (sizeof(Real) == 4) d[n] = __builtin_sqrtf(a[n]);
            else d[n] = __builtin_sqrt(a[n]);
}

template <class Real>
void op_sqrt_ahead(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* b, int64_t b_row, int rows, Ahead) {
    op_sqrt(d, d_row, a, a_row, b, b_row, rows);
}

template <class Real>
constexpr Operation<Real> OPERATIONS[] = {
    op_copy<Real>, op_add<Real>, op_sub<Real>,  op_mul<Real>, op_div<Real>,      op_neg<Real>, op_sigmoid<Real>,
    op_tanh<Real>, op_relu<Real>, op_exp<Real>, op_sqrt<Real>, op_log<Real>,     op_softplus<Real>, op_max<Real>,
    op_min<Real>,  op_at_least<Real>, op_d_sigmoid<Real>, op_d_tanh<Real>, op_d_relu<Real>,
};

template <class Real>
constexpr OperationAhead<Real> OPERATIONS_AHEAD[] = {
    op_copy_ahead<Real>, op_add_ahead<Real>, op_sub_ahead<Real>, op_mul_ahead<Real>, op_div_ahead<Real>, op_neg_ahead<Real>,
    op_sigmoid_ahead<Real>, op_tanh_ahead<Real>, op_relu_ahead<Real>, op_exp_ahead<Real>, op_sqrt_ahead<Real>, op_log_ahead<Real>,
    op_softplus_ahead<Real>, op_max_ahead<Real>, op_min_ahead<Real>, op_at_least_ahead<Real>, op_d_sigmoid_ahead<Real>,
    op_d_tanh_ahead<Real>, op_d_relu_ahead<Real>,
};

// The same with a number a row for b. They are copied first: the target may be the register that they stand in.
template <class Real, class Function>
inline void each_by_number(Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* b, int rows, Function f) {
    constexpr int L = LANES<Real>;
    Real numbers[TILE];
    memcpy(numbers, b, sizeof numbers);
    for (int r = 0; r < rows; r++, d += d_row, a += a_row) {
        const auto number = broadcast<Real>(numbers[r]);
        store<Real>(d, f(load<Real>(a), number));
        store<Real>(d + L, f(load<Real>(a + L), number));
    }
}

template <class Real>
inline void operate_by_number(int op, Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* numbers, int rows) {
    typedef typename Simd<Real>::V V;
    switch (op) {
        case ELMAN_ADD: return each_by_number(d, d_row, a, a_row, numbers, rows, [](V x, V y) -> V { return x + y; });
        case ELMAN_SUB: return each_by_number(d, d_row, a, a_row, numbers, rows, [](V x, V y) -> V { return x - y; });
        case ELMAN_MUL: return each_by_number(d, d_row, a, a_row, numbers, rows, [](V x, V y) -> V { return x * y; });
        default: return each_by_number(d, d_row, a, a_row, numbers, rows, [](V x, V y) -> V { return x / y; });
    }
}

// Two numbers for each row, numbers_row apart. `whole` columns of a row are what they were made of.
template <class Real>
inline void normalise(int op, Real* d, int64_t d_row, const Real* a, int64_t a_row, const Real* numbers, int64_t numbers_row, int rows,
                      Real whole) {
    constexpr int L = LANES<Real>;
    for (int r = 0; r < rows; r++, d += d_row, a += a_row, numbers += numbers_row) {
        if (op == ELMAN_NORMALISE) {
            const auto mean = broadcast<Real>(numbers[0]), scale = broadcast<Real>(numbers[1]);
            store<Real>(d, (load<Real>(a) - mean) * scale);
            store<Real>(d + L, (load<Real>(a + L) - mean) * scale);
        } else {
            const auto mean = broadcast<Real>(numbers[0] / whole), along = broadcast<Real>(numbers[1] / whole);
            store<Real>(d, load<Real>(a) - mean - load<Real>(d) * along);
            store<Real>(d + L, load<Real>(a + L) - mean - load<Real>(d + L) * along);
        }
    }
}

// Sum over rows, in their order, added to `sum` (BLOCK).
template <class Real>
inline void add_rows(Real* sum, const Real* a, int64_t a_row, int rows) {
    constexpr int L = LANES<Real>;
    auto low = load<Real>(sum), high = load<Real>(sum + L);
    for (int r = 0; r < rows; r++, a += a_row) low += load<Real>(a), high += load<Real>(a + L);
    store<Real>(sum, low);
    store<Real>(sum + L, high);
}

// The same of products.
template <class Real>
inline void add_products(Real* sum, const Real* a, int64_t a_row, const Real* b, int64_t b_row, int rows) {
    constexpr int L = LANES<Real>;
    auto low = load<Real>(sum), high = load<Real>(sum + L);
    for (int r = 0; r < rows; r++, a += a_row, b += b_row) {
        low += load<Real>(a) * load<Real>(b);
        high += load<Real>(a + L) * load<Real>(b + L);
    }
    store<Real>(sum, low);
    store<Real>(sum + L, high);
}

}  // namespace
