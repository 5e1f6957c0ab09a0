// A cell with a matrix for a state over one chunk of one head, and what all such cells have in common. With S the matrix before the
// chunk, g_i the sum of all logarithms of decays up to step i and r_j what step j is written with, less g_j:
//
//     D_ij = e^{g_i + r_j} for j ≤ i      C = D q kᵀ      Y_i = e^{g_i} Sᵀ q_i + Σ C_ij W_j
//     S after = e^{g_n} S + Σ e^{g_n + r_j} k_j W_jᵀ
//
// No exponent is above zero. q, k, W, g and r are a cell's own. If it is NORMALISED, there is a vector N beside S, to which each step
// adds k as to S k Wᵀ: in all sums it is one column more of W, of ones; and a number m, which is the cell's own.
#pragma once
#include <chrono>

#include "../include/elman.h"
#include "functions.h"
#include "matrix.h"

namespace {

// e^x for x ≤ 0, and 0 where nothing is seen of it beside 1: products with it would be denormal, which processors are slow at.
template <class Real>
inline typename Simd<Real>::V factor(typename Simd<Real>::V x) {
    const Real least = sizeof(Real) == 4 ? Real(-43.668) : Real(-354.198);
    return x < least ? typename Simd<Real>::V{} : exponential<Real>(x);
}

// f of each vector of a row that lies somewhere, the last one filled up with zeros.
template <class Real, class Function>
inline void each_vector(const Real* from, int64_t count, Function f) {
    constexpr int L = LANES<Real>;
    int64_t i = 0;
    for (; i + L <= count; i += L) f(i, load<Real>(from + i));
    if (i == count) return;
    Real rest[L] = {};
    memcpy(rest, from + i, (count - i) * sizeof(Real));
    f(i, load<Real>(rest));
}

// A row through silu, and, if asked for, silu's derivative there.
template <class Real>
inline void silu(Real* to, Real* slope, const Real* from, int64_t count) {
    each_vector(from, count, [=](int64_t i, typename Simd<Real>::V x) {
        const auto sigmoid = logistic<Real>(x), y = x * sigmoid;
        store<Real>(to + i, y);
        if (slope) store<Real>(slope + i, sigmoid + y * (Real(1) - sigmoid));
    });
}

// y = y silu(z).
template <class Real>
inline void gate(Real* y, const Real* z, int64_t count) {
    each_vector(z, count, [=](int64_t i, typename Simd<Real>::V x) { store<Real>(y + i, load<Real>(y + i) * (x * logistic<Real>(x))); });
}

template <class Element, bool NORMALISED>
struct Chunk {
    typedef Element Real;
    typedef typename Simd<Real>::V V;
    static constexpr int L = LANES<Real>;

    const elman_chunks& p;
    const bool back;
    const int64_t A, K, P, Kp, Pp, longest;  // p: padded; the longest chunk there can be
    // Of this task: a sequence and a head. Of this chunk: its first step and how many it has.
    int64_t b = 0, h = 0, t0 = 0, n = 0;
    std::chrono::steady_clock::duration product_time{0};

    // In this order as they follow each other in memory.
    int64_t used = 0;
    Real* const memory;
    Matrix<Real> S, q, k, W, Y, D, C, kT;                     // both ways
    Matrix<Real> dS, dY, eY, dW, E, WT, ST, dST, dq, dk, t;  // backwards
    Real *N, *g, *r, *e, *to_end;
    Real *dN, *dg, *dr;
    Real m = 0, dm = 0;
    Real dparameter[2] = {};
    Real* shared_memory = nullptr;

    // Without memory it only counts what it would use.
    Chunk(const elman_chunks& run, bool backwards, Real* at)
        : p(run), back(backwards), A(p.heads), K(p.keys), P(p.values), Kp(padded<Real>(K)), Pp(padded<Real>(P)),
          longest(p.chunk < p.steps ? p.chunk : p.steps), memory(at) {
        S = matrix(K, P), q = matrix(longest, K), k = matrix(longest, K), W = matrix(longest, P), Y = matrix(longest, P);
        D = matrix(longest, longest), C = matrix(longest, longest), kT = matrix(K, longest);
        N = row(K), g = row(longest), r = row(longest), e = row(longest), to_end = row(longest);
        if (!back) return;
        dS = matrix(K, P), dY = matrix(longest, P), eY = matrix(longest, P), dW = matrix(longest, P), E = matrix(longest, longest);
        WT = matrix(P, longest), ST = matrix(P, K), dST = matrix(P, K);
        dq = matrix(longest, K), dk = matrix(longest, K), t = matrix(longest, K);
        dN = row(K), dg = row(longest), dr = row(longest);
    }

    Matrix<Real> matrix(int64_t rows, int64_t columns) {
        const int64_t line = padded<Real>(columns);
        return {row(padded<Real>(rows) * line), line};
    }
    Real* row(int64_t count) {
        const int64_t at = used, line = 64 / (int64_t)sizeof(Real);
        used += (padded<Real>(count) + line - 1) / line * line;
        return memory ? memory + at : nullptr;
    }

    // ---- where things are ------------------------------------------------------------------------------------------------

    int64_t y_at(int64_t i) const { return (((t0 + i) * p.batch + b) * A + h) * P; }
    bool resets(int64_t step) const { return p.reset && p.reset[step * p.batch + b]; }

    Real parameter(int number) const { return ((const Real*)p.parameters)[number * A + h]; }

    // A head's state, in a row of all heads or by itself.
    struct State {
        Real *S, *N, *m;
    };
    static int64_t state_size(const elman_chunks& p) { return p.heads * head_size(p); }
    static int64_t head_size(const elman_chunks& p) { return p.keys * p.values + (NORMALISED ? p.keys + 1 : 0); }
    State of_row(const void* rows, int64_t number) const {
        Real* at = (Real*)rows + number * state_size(p);
        return {at + h * K * P, at + A * K * P + h * K, at + A * K * P + A * K + h};
    }
    // Two chunks that follow without a reset are a whole chunk apart, so that no two have one place.
    int64_t border_count() const { return p.steps ? (p.steps - 1) / p.chunk : 0; }
    State border(int64_t number) const {
        Real* at = (Real*)p.borders + ((b * A + h) * border_count() + number) * head_size(p);
        return {at, at + K * P, at + K * P + K};
    }

    void read(const State& from) { read(from, S, N, m); }
    void write(const State& to) const { write(to, S, N, m); }
    void read_gradient(const State& from) { read(from, dS, dN, dm); }
    void write_gradient(const State& to) const { write(to, dS, dN, dm); }
    void clear_state() { clear(S, N, m); }
    void clear_gradient() { clear(dS, dN, dm); }

    void read(const State& from, Matrix<Real> matrix, Real* vector, Real& number) const {
        for (int64_t i = 0; i < K; i++) memcpy(matrix[i], from.S + i * P, P * sizeof(Real));
        if (NORMALISED) memcpy(vector, from.N, K * sizeof(Real)), number = *from.m;
    }
    void write(const State& to, Matrix<Real> matrix, const Real* vector, Real number) const {
        for (int64_t i = 0; i < K; i++) memcpy(to.S + i * P, matrix[i], P * sizeof(Real));
        if (NORMALISED) memcpy(to.N, vector, K * sizeof(Real)), *to.m = number;
    }
    void clear(Matrix<Real> matrix, Real* vector, Real& number) const {
        for (int64_t i = 0; i < K; i++) memset(matrix[i], 0, P * sizeof(Real));
        memset(vector, 0, K * sizeof(Real)), number = 0;
    }
    void add_gradient(const State& to) const {
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < P; j++) to.S[i * P + j] += dS[i][j];
        for (int64_t i = 0; NORMALISED && i < K; i++) to.N[i] += dN[i];
        if (NORMALISED) *to.m += dm;
    }

    // The chunk that begins at t0 ends where it is full, before a reset, or with the sequence.
    void find_end(int64_t length) {
        for (n = 1; n < longest && t0 + n < length && !resets(t0 + n);) n++;
    }

    // The state before the chunk.
    void start_chunk() {
        if (!resets(t0)) return read(t0 == 0 ? of_row(p.initial, b) : border(t0 / p.chunk - 1));
        if (p.fresh) read(of_row(p.fresh, 0));
        else clear_state();
    }

    // ---- forwards --------------------------------------------------------------------------------------------------------

    void multiply(Matrix<Real> c, Start start, Side<Real> left, Matrix<Real> b, int64_t rows, int64_t inner, int64_t columns,
                  Shape shape = WHOLE) {
        timed([&] { product(c, start, left, b, rows, inner, columns, shape); });
    }
    template <class Function>
    void timed(Function function) {
        if (!p.product_time) return function();
        const auto start = std::chrono::steady_clock::now();
        function();
        product_time += std::chrono::steady_clock::now() - start;
    }

    // A row over steps from there on, as far as a product may read it.
    void clear(Real* x, int64_t from) const { memset(x + from, 0, (D.row - from) * sizeof(Real)); }

    // Everything of g and r.
    void factors() {
        for (int64_t i = 0; i < n; i += L) {
            store<Real>(e + i, factor<Real>(load<Real>(g + i)));
            store<Real>(to_end + i, factor<Real>(g[n - 1] + load<Real>(r + i)));
        }
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j <= i; j += L) store<Real>(D[i] + j, factor<Real>(g[i] + load<Real>(r + j)));
            clear(D[i], i + 1);
        }
    }

    void scores() {
        transpose(kT, k, n, K);
        multiply(C, ZERO, plain(q), kT, n, K, n, BELOW);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j <= i; j += L) store<Real>(C[i] + j, load<Real>(C[i] + j) * load<Real>(D[i] + j));
            clear(C[i], i + 1);
        }
    }

    // Y.
    void outputs() {
        multiply(Y, ZERO, plain(q), S, n, K, P);
        for (int64_t i = 0; i < n; i++) scale_row(Y[i], Y[i], e[i], Pp);
        multiply(Y, TARGET, plain(C), W, n, n, P, LOWER);
    }

    // The state after the chunk, but m. W is lost.
    void advance() {
        for (int64_t i = 0; i < n; i++) scale_row(W[i], W[i], to_end[i], Pp);
        for (int64_t i = 0; i < K; i++) scale_row(S[i], S[i], e[n - 1], Pp);
        multiply(S, TARGET, transposed(k), W, K, n, P);
        if (!NORMALISED) return;
        scale_row(N, N, e[n - 1], Kp);
        for (int64_t i = 0; i < n; i++) add_scaled_row(N, k[i], to_end[i], Kp);
    }

    // ---- backwards -------------------------------------------------------------------------------------------------------

    // dY before the gate silu(z), of which Y is to be what it gates, and the gradient of z.
    void backwards_through_gate(Matrix<Real> z, Matrix<Real> slope, int64_t i, const Real* z_from, Real* dz) {
        silu(z[i], slope[i], z_from, P);
        multiply_row(Y[i], dY[i], Pp), multiply_row(Y[i], slope[i], Pp), multiply_row(dY[i], z[i], Pp);
        memcpy(dz, Y[i], P * sizeof(Real));
    }

    // From dY, from `dones`, the gradient of the column of ones in Y, and from that of the state after the chunk: those of q, k, W, g, r.
    void backwards_through_sums([[maybe_unused]] const Real* dones) {
        for (int64_t i = 0; i < n; i++) scale_row(eY[i], dY[i], e[i], Pp);
        transpose(WT, W, n, P);
        transpose(ST, S, K, P);
        transpose(dST, dS, K, P);
        memset(dr, 0, n * sizeof(Real));

        multiply(dq, ZERO, plain(eY), ST, n, P, K);
        for (int64_t i = 0; i < n; i++) {
            if (NORMALISED) add_scaled_row(dq[i], N, e[i] * dones[i], Kp);
            dg[i] = dot(q[i], dq[i], K);
        }
        multiply(E, ZERO, plain(dY), WT, n, P, n, BELOW);
        for (int64_t i = 0; i < n; i++) {
            V sum{};
            for (int64_t j = 0; j <= i; j += L) {
                V d = load<Real>(E[i] + j);
                if (NORMALISED) d += dones[i];
                const V both = d * load<Real>(C[i] + j);
                sum += both;
                store<Real>(dr + j, load<Real>(dr + j) + both);
                store<Real>(E[i] + j, d * load<Real>(D[i] + j));
            }
            clear(E[i], i + 1);
            dg[i] += total(sum);
        }
        multiply(dq, TARGET, plain(E), k, n, n, K, LOWER);
        multiply(dk, ZERO, transposed(E), q, n, n, K, UPPER);

        multiply(dW, ZERO, plain(k), dS, n, K, P);
        multiply(t, ZERO, plain(W), dST, n, P, K);
        Real at_end = NORMALISED ? e[n - 1] * dot(N, dN, K) : Real(0);
        for (int64_t i = 0; i < n; i++) {
            if (NORMALISED) add_scaled_row(t[i], dN, Real(1), Kp);
            scale_row(dW[i], dW[i], to_end[i], Pp);
            add_scaled_row(dk[i], t[i], to_end[i], Kp);
            const Real here = to_end[i] * dot(k[i], t[i], K);
            at_end += here, dr[i] += here;
        }
        for (int64_t i = 0; i < K; i++) at_end += e[n - 1] * dot(S[i], dS[i], P);
        dg[n - 1] += at_end;
        multiply(dW, TARGET, transposed(C), dY, n, n, P, UPPER);
    }

    // That of the state before the chunk, as far as q reads it.
    void backwards_through_state([[maybe_unused]] const Real* dones) {
        for (int64_t i = 0; i < K; i++) scale_row(dS[i], dS[i], e[n - 1], Pp);
        multiply(dS, TARGET, transposed(q), eY, K, n, P);
        if (!NORMALISED) return;
        scale_row(dN, dN, e[n - 1], Kp);
        for (int64_t i = 0; i < n; i++) add_scaled_row(dN, q[i], e[i] * dones[i], Kp);
    }

    // What is left to do when all tasks are done, and the memory that it takes; see Mamba2.
    static int64_t shared(const elman_chunks&) { return 0; }
    static void finish(const elman_chunks&, const Real*, int, int) {}

    static Real total(V sum) {
        Real all = 0;
        for (int l = 0; l < L; l++) all += sum[l];
        return all;
    }
};

}  // namespace
