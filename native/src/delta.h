// The gated delta rule over time: elman.h has its equations. Each head of each sequence is a task of its own, done by one thread
// from its first step to its last, or back; of a chunk everything but its rows of u, y and their gradients stays in the thread's memory.
//
// Within a chunk, with g_i the sum of log α up to step i, D_ij = e^{g_i - g_j} for j ≤ i and S the matrix before the chunk:
//
//     M_ij = D_ij k_iᵀ k_j for j < i      N = -β M          X_i = v_i - e^{g_i} Sᵀ k_i
//     W = (I - N)⁻¹ β X                   what is written: S after the chunk is e^{g_n} S + Σ e^{g_n - g_j} k_j W_jᵀ
//     C_ij = D_ij q_iᵀ k_j for j ≤ i      Y_i = e^{g_i} Sᵀ q_i + Σ C_ij W_j
//
// Backwards a chunk is computed once more, from S at its border.
#pragma once
#include "../include/elman.h"
#include "functions.h"
#include "matrix.h"
#include "threads.h"

#include <atomic>

namespace {

constexpr double DELTA_EPSILON = 1e-6;
// Multiplications of all chunks together that one thread does sooner than it could call another.
constexpr int64_t SMALL_DELTA = 1 << 16;

// e^x for x ≤ 0, and 0 where nothing is seen of it beside 1: products with it would be denormal, which processors are slow at.
template <class Real>
inline typename Simd<Real>::V factor(typename Simd<Real>::V x) {
    const Real least = sizeof(Real) == 4 ? Real(-43.668) : Real(-354.198);
    return x < least ? typename Simd<Real>::V{} : exponential<Real>(x);
}

template <class Real>
class Delta {
    typedef typename Simd<Real>::V V;
    static constexpr int L = LANES<Real>;

public:
    Delta(const elman_delta& p, bool backwards)
        : p_(p), backwards_(backwards), K_(p.keys), P_(p.values), chunk_(p.chunk < p.steps ? p.chunk : p.steps),
          width_(p.heads * (2 * K_ + P_ + 2) + (p.gated ? p.heads * P_ : 0)), tasks_(p.batch * p.heads) {
        const int64_t size = p.steps * tasks_ * K_ * P_;
        threads_ = size < SMALL_DELTA || tasks_ < 2 ? 1 : tasks_ < p.threads ? (int)tasks_ : p.threads;
        starts_at_ = take(backwards ? (int64_t)((threads_ * (p.steps + 1) * sizeof(int64_t) + sizeof(Real) - 1) / sizeof(Real)) : 0);
        ddecay_at_ = take(backwards ? tasks_ : 0);
        dfresh_at_ = take(backwards && p.dfresh ? tasks_ * K_ * P_ : 0);
        Worker worker(*this, nullptr);
        worker_size_ = worker.size();
        workers_at_ = take(threads_ * worker_size_);
    }

    int64_t bytes() const { return reals_ * (int64_t)sizeof(Real); }

    void run() {
        std::atomic<int64_t> next{0};
        run_parallel(threads_, [&](int rank, int) {
            Real* memory = workspace() + workers_at_ + rank * worker_size_;
            // Padding is computed with, if for nothing: it had better not be denormal.
            memset(memory, 0, worker_size_ * sizeof(Real));
            Worker worker(*this, memory);
            worker.starts = (int64_t*)(workspace() + starts_at_) + rank * (p_.steps + 1);
            for (int64_t task; (task = next++) < tasks_;) worker.run(task / p_.heads, task % p_.heads);
        });
        if (!backwards_) return;
        // In the order of the sequences, whoever has made them.
        add_up((Real*)p_.ddecay, ddecay_at_, p_.heads);
        if (p_.dfresh) add_up((Real*)p_.dfresh, dfresh_at_, p_.heads * K_ * P_);
    }

private:
    struct Worker {
        const Delta& s;
        const elman_delta& p;
        const int64_t K, P, Kp, Pp;
        int64_t* starts = nullptr;  // of the chunks

        // Of this head: its columns of u and y, and what it is in all arrays of a matrix for each head.
        int64_t b = 0, h = 0, q_at = 0, k_at = 0, v_at = 0, a_at = 0, b_at = 0, z_at = 0;
        // Of this chunk: its first step and how many it has.
        int64_t t0 = 0, n = 0;

        // In this order as they follow each other in memory.
        int64_t used = 0;
        Real* const memory;
        Matrix<Real> S, q, k, v, W, Y, D, M, N, C, kT;                                      // both ways
        Matrix<Real> dS, q_slope, k_slope, v_slope, z, z_slope, dY, eY, dW, E, WT, ST, dST, dq, dk, t;  // backwards
        Real *a, *beta, *g, *e, *to_end, *soft;
        Real *q_length, *k_length, *dg, *dbeta;

        Worker(const Delta& delta, Real* at)
            : s(delta), p(delta.p_), K(delta.K_), P(delta.P_), Kp(padded<Real>(K)), Pp(padded<Real>(P)), memory(at) {
            const int64_t n = delta.chunk_, back = delta.backwards_;
            S = matrix(K, P), q = matrix(n, K), k = matrix(n, K), v = matrix(n, P), W = matrix(n, P), Y = matrix(n, P);
            D = matrix(n, n), M = matrix(n, n), N = matrix(n, n), C = matrix(n, n), kT = matrix(K, n);
            a = row(n), beta = row(n), g = row(n), e = row(n), to_end = row(n), soft = row(n);
            if (!back) return;
            dS = matrix(K, P), q_slope = matrix(n, K), k_slope = matrix(n, K), v_slope = matrix(n, P), z = matrix(n, P);
            z_slope = matrix(n, P), dY = matrix(n, P), eY = matrix(n, P), dW = matrix(n, P), E = matrix(n, n), WT = matrix(P, n);
            ST = matrix(P, K), dST = matrix(P, K), dq = matrix(n, K), dk = matrix(n, K), t = matrix(n, K);
            q_length = row(n), k_length = row(n), dg = row(n), dbeta = row(n);
        }

        int64_t size() const { return used; }

        Matrix<Real> matrix(int64_t rows, int64_t columns) {
            const int64_t line = padded<Real>(columns);
            return {row(padded<Real>(rows) * line), line};
        }
        Real* row(int64_t count) {
            const int64_t at = used, line = 64 / (int64_t)sizeof(Real);
            used += (padded<Real>(count) + line - 1) / line * line;
            return memory ? memory + at : nullptr;
        }

        void run(int64_t sequence, int64_t head) {
            b = sequence, h = head;
            const int64_t A = p.heads;
            q_at = h * K, k_at = A * K + h * K, v_at = 2 * A * K + h * P, a_at = A * (2 * K + P) + h, b_at = a_at + A;
            z_at = A * (2 * K + P + 2) + h * P;
            const int64_t length = p.lengths ? p.lengths[b] : p.steps;
            if (s.backwards_) backwards(length);
            else forwards(length);
        }

        // ---- where things are --------------------------------------------------------------------------------------------

        const Real* u(int64_t i) const { return (const Real*)p.u + ((t0 + i) * p.batch + b) * s.width_; }
        Real* du(int64_t i) const { return (Real*)p.du + ((t0 + i) * p.batch + b) * s.width_; }
        int64_t y_at(int64_t i) const { return ((t0 + i) * p.batch + b) * p.heads * P + h * P; }
        // Of arrays (batch, heads, keys, values).
        int64_t matrix_at() const { return (b * p.heads + h) * K * P; }
        // Two chunks that follow without a reset are a whole chunk apart, so that no two have one place.
        Real* border() const {
            const int64_t count = p.steps ? (p.steps - 1) / p.chunk : 0;
            return (Real*)p.borders + ((b * p.heads + h) * count + t0 / p.chunk - 1) * K * P;
        }
        bool resets(int64_t step) const { return p.reset && p.reset[step * p.batch + b]; }

        void read(Matrix<Real> to, const Real* from) const {
            for (int64_t i = 0; i < K; i++) {
                if (from) memcpy(to[i], from + i * P, P * sizeof(Real));
                else memset(to[i], 0, P * sizeof(Real));
            }
        }
        void write(Real* to, Matrix<Real> from) const {
            for (int64_t i = 0; i < K; i++) memcpy(to + i * P, from[i], P * sizeof(Real));
        }

        // The chunk that begins at t0 ends where it is full, before a reset, or with the sequence.
        void find_end(int64_t length) {
            for (n = 1; n < s.chunk_ && t0 + n < length && !resets(t0 + n);) n++;
        }

        // S before the chunk.
        void start_chunk() {
            if (resets(t0)) read(S, p.fresh ? (const Real*)p.fresh + h * K * P : nullptr);
            else if (t0 == 0) read(S, (const Real*)p.initial + matrix_at());
            else read(S, border());
        }

        // ---- forwards ----------------------------------------------------------------------------------------------------

        void forwards(int64_t length) {
            t0 = p.chunk;
            // A chunk that a reset or a length cuts off has no border of its own.
            if (p.borders && (p.reset || p.lengths)) memset(border(), 0, (p.steps ? (p.steps - 1) / p.chunk : 0) * K * P * sizeof(Real));
            t0 = 0;
            read(S, (const Real*)p.initial + matrix_at());
            while (t0 < length) {
                if (resets(t0)) start_chunk();
                else if (t0 && p.borders) write(border(), S);
                find_end(length);
                compute();
                outputs();
                for (int64_t i = 0; i < n; i++) {
                    Real* y = (Real*)p.y + y_at(i);
                    if (p.gated) gate(Y[i], u(i) + z_at);
                    memcpy(y, Y[i], P * sizeof(Real));
                    scale_row(W[i], W[i], to_end[i], Pp);
                }
                for (int64_t i = 0; i < K; i++) scale_row(S[i], S[i], e[n - 1], Pp);
                product<Real>(S, TARGET, transposed(k), W, K, n, P);
                t0 += n;
            }
            for (; t0 < p.steps; t0++) memset((Real*)p.y + y_at(0), 0, P * sizeof(Real));
            write((Real*)p.last + matrix_at(), S);
        }

        // f of each vector of a row of u, the last one filled up with zeros.
        template <class Function>
        static void each_vector(const Real* from, int64_t count, Function f) {
            int64_t i = 0;
            for (; i + L <= count; i += L) f(i, load<Real>(from + i));
            if (i == count) return;
            Real rest[L] = {};
            memcpy(rest, from + i, (count - i) * sizeof(Real));
            f(i, load<Real>(rest));
        }

        // y = y silu(z).
        void gate(Real* y, const Real* z_from) const {
            each_vector(z_from, P, [=](int64_t i, V x) { store<Real>(y + i, load<Real>(y + i) * (x * logistic<Real>(x))); });
        }

        // A row through silu, and, if asked for, silu's derivative there.
        static void silu(Real* to, Real* slope, const Real* from, int64_t count) {
            each_vector(from, count, [=](int64_t i, V x) {
                const V sigmoid = logistic<Real>(x), y = x * sigmoid;
                store<Real>(to + i, y);
                if (slope) store<Real>(slope + i, sigmoid + y * (Real(1) - sigmoid));
            });
        }

        // The row is divided by its length, which it gives the inverse of.
        Real unit(Real* x, Real scale) const {
            const Real square = dot(x, x, K) + (Real)DELTA_EPSILON;
            const Real inverse = Real(1) / (sizeof(Real) == 4 ? (Real)__builtin_sqrtf((float)square) : (Real)__builtin_sqrt(square));
            scale_row(x, x, inverse * scale, Kp);
            return inverse;
        }

        Real q_scale() const { return Real(1) / (Real)__builtin_sqrt((double)K); }

        // All of a chunk but its outputs.
        void compute() {
            const bool back = s.backwards_;
            for (int64_t i = 0; i < n; i++) {
                const Real* from = u(i);
                silu(q[i], back ? q_slope[i] : nullptr, from + q_at, K);
                silu(k[i], back ? k_slope[i] : nullptr, from + k_at, K);
                silu(v[i], back ? v_slope[i] : nullptr, from + v_at, P);
                const Real lengths[] = {unit(q[i], q_scale()), unit(k[i], 1)};
                if (back) q_length[i] = lengths[0], k_length[i] = lengths[1];
                a[i] = from[a_at], beta[i] = from[b_at];
            }
            decays();
            transpose(kT, k, n, K);
            product(M, ZERO, plain(k), kT, n, K, n, BELOW);
            product(C, ZERO, plain(q), kT, n, K, n, BELOW);
            for (int64_t i = 0; i < n; i++) {
                const int64_t end = (i / L + 1) * L;
                const Real minus = -beta[i];
                for (int64_t j = 0; j < end; j += L) {
                    const V d = load<Real>(D[i] + j), m = load<Real>(M[i] + j) * d;
                    store<Real>(C[i] + j, load<Real>(C[i] + j) * d);
                    store<Real>(M[i] + j, m);
                    store<Real>(N[i] + j, m * minus);
                }
                clear(C[i], i + 1), clear(M[i], i), clear(N[i], i);
            }
            product(W, ZERO, plain(k), S, n, K, P);
            for (int64_t i = 0; i < n; i++) {
                add_scaled_row(v[i], W[i], -e[i], Pp);
                scale_row(W[i], v[i], beta[i], Pp);
            }
            solve(W, N, n, P);
        }

        // From a_i and b_i: β, g, the factors of a state before the chunk and of one after it, and D.
        void decays() {
            const Real decay = ((const Real*)p.decay)[h];
            for (int64_t i = 0; i < n; i += L) {
                store<Real>(soft + i, softplus<Real>(load<Real>(a + i)));
                store<Real>(beta + i, logistic<Real>(load<Real>(beta + i)));
            }
            Real sum = 0;
            for (int64_t i = 0; i < n; i++) g[i] = sum += decay * soft[i];
            for (int64_t i = 0; i < n; i += L) {
                store<Real>(e + i, factor<Real>(load<Real>(g + i)));
                store<Real>(to_end + i, factor<Real>(sum - load<Real>(g + i)));
            }
            for (int64_t i = 0; i < n; i++) {
                for (int64_t j = 0; j <= i; j += L) store<Real>(D[i] + j, factor<Real>(g[i] - load<Real>(g + j)));
                clear(D[i], i + 1);
            }
        }

        // The row from there on, as far as a product may read it.
        void clear(Real* x, int64_t from) const { memset(x + from, 0, (D.row - from) * sizeof(Real)); }

        // Y, as it is before the gate.
        void outputs() {
            product(Y, ZERO, plain(q), S, n, K, P);
            for (int64_t i = 0; i < n; i++) scale_row(Y[i], Y[i], e[i], Pp);
            product(Y, TARGET, plain(C), W, n, n, P, LOWER);
        }

        // ---- backwards ---------------------------------------------------------------------------------------------------

        void backwards(int64_t length) {
            int64_t count = 0;
            for (t0 = 0; t0 < length; t0 += n) {
                starts[count++] = t0;
                find_end(length);
            }
            starts[count] = length;
            read(dS, p.dlast ? (const Real*)p.dlast + matrix_at() : nullptr);
            Real* dfresh = p.dfresh ? s.workspace() + s.dfresh_at_ + matrix_at() : nullptr;
            if (dfresh) memset(dfresh, 0, K * P * sizeof(Real));
            Real ddecay = 0;
            for (; count--;) {
                t0 = starts[count], n = starts[count + 1] - t0;
                start_chunk();
                compute();
                ddecay += chunk_backwards();
                if (!resets(t0)) continue;
                // What came before the reset has no part in what came after.
                for (int64_t i = 0; i < K; i++) {
                    for (int64_t j = 0; dfresh && j < P; j++) dfresh[i * P + j] += dS[i][j];
                    memset(dS[i], 0, P * sizeof(Real));
                }
            }
            write((Real*)p.dinitial + matrix_at(), dS);
            s.workspace()[s.ddecay_at_ + b * p.heads + h] = ddecay;
            t0 = 0;
            for (int64_t i = length; i < p.steps; i++) {
                Real* to = du(i);
                memset(to + q_at, 0, K * sizeof(Real)), memset(to + k_at, 0, K * sizeof(Real)), memset(to + v_at, 0, P * sizeof(Real));
                to[a_at] = to[b_at] = 0;
                if (p.gated) memset(to + z_at, 0, P * sizeof(Real));
            }
        }

        // dS after the chunk becomes that before it. Gives the part of the gradient of `decay`.
        Real chunk_backwards() {
            read_dY();
            transpose(WT, W, n, P);
            transpose(ST, S, K, P);
            transpose(dST, dS, K, P);
            memset(dg, 0, n * sizeof(Real));

            // Y_i = e^{g_i} Sᵀ q_i + Σ C_ij W_j
            product(dq, ZERO, plain(eY), ST, n, P, K);
            for (int64_t i = 0; i < n; i++) dg[i] += dot(q[i], dq[i], K);
            product(E, ZERO, plain(dY), WT, n, P, n, BELOW);
            of_scores();
            product(dq, TARGET, plain(E), k, n, n, K, LOWER);
            product(dk, ZERO, transposed(E), q, n, n, K, UPPER);

            // S after = e^{g_n} S + Σ e^{g_n - g_j} k_j W_jᵀ
            product(dW, ZERO, plain(k), dS, n, K, P);
            product(t, ZERO, plain(W), dST, n, P, K);
            Real at_end = 0;
            for (int64_t i = 0; i < n; i++) {
                scale_row(dW[i], dW[i], to_end[i], Pp);
                add_scaled_row(dk[i], t[i], to_end[i], Kp);
                const Real here = to_end[i] * dot(k[i], t[i], K);
                at_end += here, dg[i] -= here;
            }
            for (int64_t i = 0; i < K; i++) at_end += e[n - 1] * dot(S[i], dS[i], P);
            dg[n - 1] += at_end;
            product(dW, TARGET, transposed(C), dY, n, n, P, UPPER);

            // W = β X + N W, so that from here on dW is the gradient of β X.
            solve_transposed(dW, N, n, P);
            product(E, ZERO, plain(dW), WT, n, P, n, BELOW);
            of_system();
            product(dk, TARGET, plain(E), k, n, n, K, LOWER);
            product(dk, TARGET, transposed(E), k, n, n, K, UPPER);

            // X_i = v_i - e^{g_i} Sᵀ k_i: X stands in v, and what becomes dW is -e^{g_i} dv_i.
            for (int64_t i = 0; i < n; i++) {
                dbeta[i] += dot(dW[i], v[i], P);
                scale_row(v[i], dW[i], beta[i], Pp);
                scale_row(dW[i], v[i], -e[i], Pp);
            }
            product(t, ZERO, plain(dW), ST, n, P, K);
            for (int64_t i = 0; i < n; i++) {
                dg[i] += dot(k[i], t[i], K);
                add_scaled_row(dk[i], t[i], Real(1), Kp);
            }
            for (int64_t i = 0; i < K; i++) scale_row(dS[i], dS[i], e[n - 1], Pp);
            product(dS, TARGET, transposed(q), eY, K, n, P);
            product(dS, TARGET, transposed(k), dW, K, n, P);
            return write_du();
        }

        // dY before the gate, e^{g_i} dY_i, and the gradient of the gate.
        void read_dY() {
            if (p.gated) outputs();
            for (int64_t i = 0; i < n; i++) {
                memcpy(dY[i], (const Real*)p.dy + y_at(i), P * sizeof(Real));
                if (p.gated) {
                    silu(z[i], z_slope[i], u(i) + z_at, P);
                    row_of(Y[i], Y[i], dY[i], Pp, [](V x, V y) -> V { return x * y; });
                    row_of(Y[i], Y[i], z_slope[i], Pp, [](V x, V y) -> V { return x * y; });
                    memcpy(du(i) + z_at, Y[i], P * sizeof(Real));
                    row_of(dY[i], dY[i], z[i], Pp, [](V x, V y) -> V { return x * y; });
                }
                scale_row(eY[i], dY[i], e[i], Pp);
            }
        }

        // E is the gradient of C, and becomes that of q kᵀ.
        void of_scores() {
            for (int64_t i = 0; i < n; i++) {
                V sum{};
                clear(E[i], i + 1);
                for (int64_t j = 0; j <= i; j += L) {
                    const V d = load<Real>(E[i] + j), both = d * load<Real>(C[i] + j);
                    sum += both;
                    store<Real>(dg + j, load<Real>(dg + j) - both);
                    store<Real>(E[i] + j, d * load<Real>(D[i] + j));
                }
                dg[i] += total(sum);
            }
        }

        // E is the gradient of N, and becomes that of k kᵀ; that of β is begun.
        void of_system() {
            for (int64_t i = 0; i < n; i++) {
                V sum{};
                clear(E[i], i);
                for (int64_t j = 0; j <= i; j += L) {
                    const V d = load<Real>(E[i] + j), both = d * load<Real>(M[i] + j);
                    sum += both;
                    store<Real>(dg + j, load<Real>(dg + j) + beta[i] * both);
                    store<Real>(E[i] + j, d * load<Real>(D[i] + j) * -beta[i]);
                }
                dbeta[i] = -total(sum);
                dg[i] += beta[i] * dbeta[i];
            }
        }

        static Real total(V sum) {
            Real all = 0;
            for (int l = 0; l < L; l++) all += sum[l];
            return all;
        }

        // Through what made q, k, v, α and β of u.
        Real write_du() {
            const Real decay = ((const Real*)p.decay)[h];
            Real ddecay = 0, dlog = 0;
            for (int64_t i = n - 1; i >= 0; i--) {
                // g is the sum of all log α so far.
                dlog += dg[i];
                ddecay += dlog * soft[i];
                dg[i] = dlog * decay;
            }
            for (int64_t i = 0; i < n; i += L) {
                const V gate = load<Real>(beta + i);
                store<Real>(dg + i, load<Real>(dg + i) * logistic<Real>(load<Real>(a + i)));
                store<Real>(dbeta + i, load<Real>(dbeta + i) * (gate - gate * gate));
            }
            for (int64_t i = 0; i < n; i++) {
                Real* to = du(i);
                through_unit(dq[i], q[i], q_slope[i], q_length[i], q_scale());
                through_unit(dk[i], k[i], k_slope[i], k_length[i], 1);
                row_of(v[i], v[i], v_slope[i], Pp, [](V x, V y) -> V { return x * y; });
                memcpy(to + q_at, dq[i], K * sizeof(Real));
                memcpy(to + k_at, dk[i], K * sizeof(Real));
                memcpy(to + v_at, v[i], P * sizeof(Real));
                to[a_at] = dg[i], to[b_at] = dbeta[i];
            }
            return ddecay;
        }

        // The gradient of x, for y = scale x / length.
        void through_unit(Real* d, const Real* y, const Real* slope, Real inverse, Real scale) const {
            const Real along = dot(d, y, K) / scale;
            row_of(d, d, y, Kp, [=](V x, V direction) -> V { return inverse * (scale * x - along * direction); });
            row_of(d, d, slope, Kp, [](V x, V y) -> V { return x * y; });
        }
    };

    Real* workspace() const { return (Real*)p_.workspace; }

    int64_t take(int64_t count) {
        const int64_t at = reals_, line = 64 / (int64_t)sizeof(Real);
        reals_ += (count + line - 1) / line * line;
        return at;
    }

    void add_up(Real* to, int64_t at, int64_t columns) const {
        for (int64_t i = 0; i < columns; i++) to[i] = 0;
        for (int64_t b = 0; b < p_.batch; b++)
            for (int64_t i = 0; i < columns; i++) to[i] += workspace()[at + b * columns + i];
    }

    const elman_delta& p_;
    const bool backwards_;
    const int64_t K_, P_, chunk_, width_, tasks_;
    int threads_;
    int64_t reals_ = 0, starts_at_, ddecay_at_, dfresh_at_, workers_at_, worker_size_;
};

template <class Real>
int64_t delta_workspace(const elman_delta* p, bool backwards) { return Delta<Real>(*p, backwards).bytes(); }

template <class Real>
void run_delta(const elman_delta* p, bool backwards) { Delta<Real>(*p, backwards).run(); }

}  // namespace
