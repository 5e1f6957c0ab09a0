// Mamba-2's state in chunks: elman.h has its equations. It is the chunk's, with W = Δ x. q and k are the same for all heads: each head
// puts its gradients of them beside those of the others, and at the end they are added up.
#pragma once
#include "chunk.h"

namespace {

template <class Real>
struct Mamba2 : Chunk<Real, false> {
    typedef Chunk<Real, false> Base;
    using Base::A, Base::K, Base::P, Base::Kp, Base::Pp, Base::L, Base::p, Base::back, Base::b, Base::h, Base::t0, Base::n, Base::longest;
    using Base::q, Base::k, Base::W, Base::Y, Base::dY, Base::dW, Base::dq, Base::dk, Base::g, Base::r, Base::dg, Base::dr;
    using Base::dparameter, Base::shared_memory;
    using typename Base::V;

    Matrix<Real> x, x_slope, z, z_slope;
    Real *d, *size;
    int64_t x_at = 0, k_at = 0, q_at = 0, d_at = 0, z_at = 0;

    Mamba2(const elman_chunks& run, bool backwards, Real* at) : Base(run, backwards, at) {
        x = this->matrix(longest, P), d = this->row(longest), size = this->row(longest);
        if (back) x_slope = this->matrix(longest, P), z = this->matrix(longest, P), z_slope = this->matrix(longest, P);
    }

    static constexpr int PARAMETERS = 2;
    static int64_t gate_columns(const elman_chunks& p) { return p.option ? p.heads * p.values : 0; }
    static int64_t columns(const elman_chunks& p) { return gate_columns(p) + p.heads * (p.values + 1) + 2 * p.keys; }

    void begin() {
        z_at = h * P, x_at = gate_columns(p) + h * P, k_at = gate_columns(p) + A * P, q_at = k_at + K, d_at = q_at + K + h;
    }
    const Real* u(int64_t i) const { return (const Real*)p.u + ((t0 + i) * p.batch + b) * columns(p); }
    Real* du(int64_t i) const { return (Real*)p.du + ((t0 + i) * p.batch + b) * columns(p); }

    // ---- forwards --------------------------------------------------------------------------------------------------------

    void compute() {
        for (int64_t i = 0; i < n; i++) {
            const Real* from = u(i);
            silu<Real>(q[i], nullptr, from + q_at, K);
            silu<Real>(k[i], nullptr, from + k_at, K);
            silu<Real>(x[i], back ? x_slope[i] : nullptr, from + x_at, P);
            d[i] = from[d_at];
        }
        for (int64_t i = 0; i < n; i += L) store<Real>(size + i, softplus<Real>(load<Real>(d + i)));
        const Real decay = this->parameter(0);
        Real sum = 0;
        for (int64_t i = 0; i < n; i++) {
            g[i] = sum += decay * size[i], r[i] = -sum;
            scale_row(W[i], x[i], size[i], Pp);
        }
        this->factors();
        this->scores();
    }

    void read_outputs() {
        this->outputs();
        for (int64_t i = 0; i < n; i++) add_scaled_row(Y[i], x[i], this->parameter(1), Pp);
    }

    void write_y() {
        read_outputs();
        for (int64_t i = 0; i < n; i++) {
            if (p.option) gate(Y[i], u(i) + z_at, P);
            memcpy((Real*)p.y + this->y_at(i), Y[i], P * sizeof(Real));
        }
    }

    // ---- backwards -------------------------------------------------------------------------------------------------------

    void backwards() {
        if (p.option) read_outputs();
        for (int64_t i = 0; i < n; i++) {
            memcpy(dY[i], (const Real*)p.dy + this->y_at(i), P * sizeof(Real));
            if (p.option) this->backwards_through_gate(z, z_slope, i, u(i) + z_at, du(i) + z_at);
            dparameter[1] += dot(dY[i], x[i], P);
        }
        this->backwards_through_sums(nullptr);
        this->backwards_through_state(nullptr);
        Real dlog = 0;
        for (int64_t i = n - 1; i >= 0; i--) {
            // g is the sum of all decay Δ so far, and r is -g.
            dlog += dg[i] - dr[i];
            dparameter[0] += dlog * size[i];
            dg[i] = dlog * this->parameter(0) + dot(dW[i], x[i], P);
        }
        for (int64_t i = 0; i < n; i += L) store<Real>(dg + i, load<Real>(dg + i) * logistic<Real>(load<Real>(d + i)));
        for (int64_t i = 0; i < n; i++) {
            scale_row(dW[i], dW[i], size[i], Pp);
            add_scaled_row(dW[i], dY[i], this->parameter(1), Pp);
            multiply_row(dW[i], x_slope[i], Pp);
            memcpy(du(i) + x_at, dW[i], P * sizeof(Real));
            du(i)[d_at] = dg[i];
            Real* shared = shared_of(shared_memory, (t0 + i) * p.batch + b, h);
            memcpy(shared, dk[i], K * sizeof(Real)), memcpy(shared + K, dq[i], K * sizeof(Real));
        }
    }

    // Gradients of k and q by steps and heads.
    static int64_t shared(const elman_chunks& p) { return p.steps * p.batch * p.heads * 2 * p.keys; }
    Real* shared_of(Real* memory, int64_t row, int64_t head) const { return memory + (row * p.heads + head) * 2 * K; }

    static void finish(const elman_chunks& p, const Real* memory, int rank, int ranks) {
        const int64_t rows = p.steps * p.batch, width = 2 * p.keys, at = gate_columns(p) + p.heads * p.values;
        for (int64_t row = rows * rank / ranks; row < rows * (rank + 1) / ranks; row++) {
            const Real *u = (const Real*)p.u + row * columns(p) + at, *parts = memory + row * p.heads * width;
            Real* du = (Real*)p.du + row * columns(p) + at;
            if (p.lengths && row / p.batch >= p.lengths[row % p.batch]) {
                memset(du, 0, width * sizeof(Real));
                continue;
            }
            for (int64_t i = 0; i < width; i++) {
                Real sum = 0;
                for (int64_t head = 0; head < p.heads; head++) sum += parts[head * width + i];
                du[i] = sum;
            }
            each_vector(u, width, [=](int64_t i, V x) {
                const V sigmoid = logistic<Real>(x), slope = sigmoid + x * sigmoid * (Real(1) - sigmoid);
                const int64_t count = width - i < L ? width - i : L;
                for (int64_t l = 0; l < count; l++) du[i + l] *= slope[l];
            });
        }
    }

    void clear_du(int64_t i) const {
        Real* to = du(i);
        memset(to + x_at, 0, P * sizeof(Real)), to[d_at] = 0;
        if (p.option) memset(to + z_at, 0, P * sizeof(Real));
    }
};

}  // namespace
