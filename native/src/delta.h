// The gated delta rule in chunks: elman.h has its equations. With X_i = v_i - e^{g_i} Sᵀ k_i and M_ij = e^{g_i - g_j} k_iᵀ k_j for j < i,
// what is written solves  W = β X + N W,  N = -β M.
#pragma once
#include "chunk.h"

namespace {

constexpr double DELTA_EPSILON = 1e-6;

template <class Real>
struct GatedDelta : Chunk<Real, false> {
    typedef Chunk<Real, false> Base;
    using Base::A, Base::K, Base::P, Base::Kp, Base::Pp, Base::L, Base::p, Base::back, Base::b, Base::h, Base::t0, Base::n, Base::longest;
    using Base::S, Base::q, Base::k, Base::W, Base::Y, Base::D, Base::kT, Base::dS, Base::dY, Base::dW, Base::E, Base::WT, Base::ST;
    using Base::dq, Base::dk, Base::t, Base::g, Base::r, Base::e, Base::dg, Base::dr;
    using typename Base::V;

    Matrix<Real> X, M, N, q_slope, k_slope, v_slope, z, z_slope;
    Real *a, *beta, *soft, *dbeta, *q_length, *k_length;
    int64_t q_at = 0, k_at = 0, v_at = 0, a_at = 0, b_at = 0, z_at = 0;

    GatedDelta(const elman_chunks& run, bool backwards, Real* at) : Base(run, backwards, at) {
        X = this->matrix(longest, P), M = this->matrix(longest, longest), N = this->matrix(longest, longest);
        a = this->row(longest), beta = this->row(longest), soft = this->row(longest);
        if (!back) return;
        q_slope = this->matrix(longest, K), k_slope = this->matrix(longest, K), v_slope = this->matrix(longest, P);
        z = this->matrix(longest, P), z_slope = this->matrix(longest, P);
        dbeta = this->row(longest), q_length = this->row(longest), k_length = this->row(longest);
    }

    static constexpr int PARAMETERS = 1;
    static int64_t columns(const elman_chunks& p) { return p.heads * (2 * p.keys + p.values + 2 + (p.option ? p.values : 0)); }

    void begin() {
        q_at = h * K, k_at = A * K + h * K, v_at = 2 * A * K + h * P, a_at = A * (2 * K + P) + h, b_at = a_at + A;
        z_at = A * (2 * K + P + 2) + h * P;
    }
    const Real* u(int64_t i) const { return (const Real*)p.u + ((t0 + i) * p.batch + b) * columns(p); }
    Real* du(int64_t i) const { return (Real*)p.du + ((t0 + i) * p.batch + b) * columns(p); }

    // ---- forwards --------------------------------------------------------------------------------------------------------

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
        for (int64_t i = 0; i < n; i++) {
            const Real* from = u(i);
            silu(q[i], back ? q_slope[i] : nullptr, from + q_at, K);
            silu(k[i], back ? k_slope[i] : nullptr, from + k_at, K);
            silu(X[i], back ? v_slope[i] : nullptr, from + v_at, P);
            const Real lengths[] = {unit(q[i], q_scale()), unit(k[i], 1)};
            if (back) q_length[i] = lengths[0], k_length[i] = lengths[1];
            a[i] = from[a_at], beta[i] = from[b_at];
        }
        for (int64_t i = 0; i < n; i += L) {
            store<Real>(soft + i, softplus<Real>(load<Real>(a + i)));
            store<Real>(beta + i, logistic<Real>(load<Real>(beta + i)));
        }
        const Real decay = this->parameter(0);
        Real sum = 0;
        for (int64_t i = 0; i < n; i++) g[i] = sum += decay * soft[i], r[i] = -sum;
        this->factors();
        this->scores();
        this->multiply(M, ZERO, plain(k), kT, n, K, n, BELOW);
        for (int64_t i = 0; i < n; i++) {
            for (int64_t j = 0; j <= i; j += L) {
                const V m = load<Real>(M[i] + j) * load<Real>(D[i] + j);
                store<Real>(M[i] + j, m);
                store<Real>(N[i] + j, m * -beta[i]);
            }
            this->clear(M[i], i), this->clear(N[i], i);
        }
        this->multiply(W, ZERO, plain(k), S, n, K, P);
        for (int64_t i = 0; i < n; i++) {
            add_scaled_row(X[i], W[i], -e[i], Pp);
            scale_row(W[i], X[i], beta[i], Pp);
        }
        this->timed([&] { solve(W, N, n, P); });
    }

    void write_y() {
        this->outputs();
        for (int64_t i = 0; i < n; i++) {
            Real* y = Y[i];
            if (p.option) gate(y, u(i) + z_at, P);
            memcpy((Real*)p.y + this->y_at(i), y, P * sizeof(Real));
        }
    }

    // ---- backwards -------------------------------------------------------------------------------------------------------

    // From the gradient of the state after the chunk to that before it.
    void backwards() {
        read_dY();
        this->backwards_through_sums(nullptr);

        // From here on dW is the gradient of β X.
        this->timed([&] { solve_transposed(dW, N, n, P); });
        this->multiply(E, ZERO, plain(dW), WT, n, P, n, BELOW);
        of_system();
        this->multiply(dk, TARGET, plain(E), k, n, n, K, LOWER);
        this->multiply(dk, TARGET, transposed(E), k, n, n, K, UPPER);

        // X becomes the gradient of v, and dW that of Sᵀ k.
        for (int64_t i = 0; i < n; i++) {
            dbeta[i] += dot(dW[i], X[i], P);
            scale_row(X[i], dW[i], beta[i], Pp);
            scale_row(dW[i], X[i], -e[i], Pp);
        }
        this->multiply(t, ZERO, plain(dW), ST, n, P, K);
        for (int64_t i = 0; i < n; i++) {
            dg[i] += dot(k[i], t[i], K);
            add_scaled_row(dk[i], t[i], Real(1), Kp);
        }
        this->backwards_through_state(nullptr);
        this->multiply(dS, TARGET, transposed(k), dW, K, n, P);
        write_du();
    }

    // dY before the gate, and the gradient of the gate.
    void read_dY() {
        if (p.option) this->outputs();
        for (int64_t i = 0; i < n; i++) {
            memcpy(dY[i], (const Real*)p.dy + this->y_at(i), P * sizeof(Real));
            if (p.option) this->backwards_through_gate(z, z_slope, i, u(i) + z_at, du(i) + z_at);
        }
    }

    // E is the gradient of N, and becomes that of k kᵀ; that of β is begun.
    void of_system() {
        for (int64_t i = 0; i < n; i++) {
            V sum{};
            this->clear(E[i], i);
            for (int64_t j = 0; j <= i; j += L) {
                const V d = load<Real>(E[i] + j), both = d * load<Real>(M[i] + j);
                sum += both;
                store<Real>(dr + j, load<Real>(dr + j) - beta[i] * both);
                store<Real>(E[i] + j, d * load<Real>(D[i] + j) * -beta[i]);
            }
            dbeta[i] = -this->total(sum);
            dg[i] += beta[i] * dbeta[i];
        }
    }

    // Through what made q, k, v, α and β of u.
    void write_du() {
        const Real decay = this->parameter(0);
        Real dlog = 0;
        for (int64_t i = n - 1; i >= 0; i--) {
            // g is the sum of all log α so far, and r is -g.
            dlog += dg[i] - dr[i];
            this->dparameter[0] += dlog * soft[i];
            dg[i] = dlog * decay;
        }
        for (int64_t i = 0; i < n; i += L) {
            const V share = load<Real>(beta + i);
            store<Real>(dg + i, load<Real>(dg + i) * logistic<Real>(load<Real>(a + i)));
            store<Real>(dbeta + i, load<Real>(dbeta + i) * (share - share * share));
        }
        for (int64_t i = 0; i < n; i++) {
            Real* to = du(i);
            through_unit(dq[i], q[i], q_slope[i], q_length[i], q_scale());
            through_unit(dk[i], k[i], k_slope[i], k_length[i], 1);
            multiply_row(X[i], v_slope[i], Pp);
            memcpy(to + q_at, dq[i], K * sizeof(Real));
            memcpy(to + k_at, dk[i], K * sizeof(Real));
            memcpy(to + v_at, X[i], P * sizeof(Real));
            to[a_at] = dg[i], to[b_at] = dbeta[i];
        }
    }

    // The gradient of x, for y = scale x / length, and then that of what silu was taken of.
    void through_unit(Real* d, const Real* y, const Real* slope, Real inverse, Real scale) const {
        const Real along = dot(d, y, K) / scale;
        row_of(d, d, y, Kp, [=](V x, V direction) -> V { return inverse * (scale * x - along * direction); });
        multiply_row(d, slope, Kp);
    }

    void clear_du(int64_t i) const {
        Real* to = du(i);
        memset(to + q_at, 0, K * sizeof(Real)), memset(to + k_at, 0, K * sizeof(Real)), memset(to + v_at, 0, P * sizeof(Real));
        to[a_at] = to[b_at] = 0;
        if (p.option) memset(to + z_at, 0, P * sizeof(Real));
    }
};

}  // namespace
