// The mLSTM in chunks: elman.h has its equations. What it decays by and what it writes with follow from m, which is gone through step by
// step; the rest is the chunk's, with W = v.
#pragma once
#include "chunk.h"

namespace {

constexpr double MLSTM_BOUND = 80;

template <class Real>
struct MLSTM : Chunk<Real, true> {
    typedef Chunk<Real, true> Base;
    using Base::A, Base::K, Base::P, Base::Kp, Base::Pp, Base::L, Base::p, Base::back, Base::b, Base::h, Base::t0, Base::n, Base::longest;
    using Base::q, Base::k, Base::W, Base::Y, Base::C, Base::N, Base::dY, Base::dW, Base::dq, Base::dk;
    using Base::g, Base::r, Base::e, Base::dg, Base::dr, Base::m, Base::dm;
    using typename Base::V;

    // `ones` is what Y would have for a column of ones in W; what it is divided by stands in `divisor`.
    Real *i_gate, *f_gate, *log_f, *ms, *ones, *bound, *divisor, *dones, *dms;
    int64_t q_at = 0, k_at = 0, v_at = 0, i_at = 0, f_at = 0, o_at = 0;
    Real m_before = 0;

    MLSTM(const elman_chunks& run, bool backwards, Real* at) : Base(run, backwards, at) {
        for (Real** each : {&i_gate, &f_gate, &log_f, &ms, &ones, &bound, &divisor, &dones, &dms}) *each = this->row(longest);
    }

    static constexpr int PARAMETERS = 0;
    static int64_t columns(const elman_chunks& p) { return p.heads * (2 * p.keys + 2 * p.values + 2); }

    void begin() {
        q_at = h * K, k_at = A * K + h * K, v_at = 2 * A * K + h * P, i_at = A * (2 * K + P) + h, f_at = i_at + A;
        o_at = A * (2 * K + P + 2) + h * P;
    }
    const Real* u(int64_t i) const { return (const Real*)p.u + ((t0 + i) * p.batch + b) * columns(p); }
    Real* du(int64_t i) const { return (Real*)p.du + ((t0 + i) * p.batch + b) * columns(p); }
    Real k_scale() const { return Real(1) / (Real)__builtin_sqrt((double)K); }

    // ---- forwards --------------------------------------------------------------------------------------------------------

    void compute() {
        const Real scale = k_scale();
        for (int64_t i = 0; i < n; i++) {
            const Real* from = u(i);
            memcpy(q[i], from + q_at, K * sizeof(Real));
            memcpy(k[i], from + k_at, K * sizeof(Real));
            memcpy(W[i], from + v_at, P * sizeof(Real));
            scale_row(k[i], k[i], scale, Kp);
            i_gate[i] = from[i_at], log_f[i] = f_gate[i] = from[f_at];
        }
        if (!p.option)
            for (int64_t i = 0; i < n; i += L) store<Real>(log_f + i, -softplus<Real>(-load<Real>(f_gate + i)));
        m_before = m;
        Real before = m, sum = 0;
        for (int64_t i = 0; i < n; i++) {
            const Real kept = log_f[i] + before, larger = kept > i_gate[i] ? kept : i_gate[i];
            // A NaN passes, whichever it is.
            ms[i] = kept != kept ? kept : larger;
            g[i] = sum += kept - ms[i];
            r[i] = i_gate[i] - ms[i] - sum;
            before = ms[i];
        }
        this->factors();
        this->scores();
    }

    void read_outputs() {
        this->outputs();
        for (int64_t i = 0; i < n; i += L) {
            const V low = broadcast<Real>((Real)-MLSTM_BOUND), high = broadcast<Real>((Real)MLSTM_BOUND);
            V x = -load<Real>(ms + i);
            x = x < low ? low : x > high ? high : x;
            store<Real>(bound + i, exponential<Real>(x));
        }
        for (int64_t i = 0; i < n; i++) {
            V sum{};
            for (int64_t j = 0; j <= i; j += L) sum += load<Real>(C[i] + j);
            ones[i] = this->total(sum) + e[i] * dot(q[i], N, K);
            const Real size = ones[i] < 0 ? -ones[i] : ones[i];
            divisor[i] = size < bound[i] ? bound[i] : size;
        }
    }

    void write_y() {
        read_outputs();
        for (int64_t i = 0; i < n; i++) {
            Real* y = Y[i];
            const Real inverse = Real(1) / divisor[i];
            each_vector(u(i) + o_at, P, [=](int64_t j, V x) { store<Real>(y + j, load<Real>(y + j) * (inverse * logistic<Real>(x))); });
            memcpy((Real*)p.y + this->y_at(i), y, P * sizeof(Real));
        }
    }

    void advance() {
        Base::advance();
        m = ms[n - 1];
    }

    // ---- backwards -------------------------------------------------------------------------------------------------------

    void backwards() {
        read_outputs();
        memset(dms, 0, n * sizeof(Real));
        for (int64_t i = 0; i < n; i++) {
            memcpy(dY[i], (const Real*)p.dy + this->y_at(i), P * sizeof(Real));
            Real *y = Y[i], *d = dY[i];
            const Real inverse = Real(1) / divisor[i];
            // y becomes the gradient of the output gate, d that of what was read.
            const Real along = -inverse * gate_backwards(d, y, u(i) + o_at, inverse);
            memcpy(du(i) + o_at, y, P * sizeof(Real));
            // Where both are as large each gets half, as in PyTorch.
            const Real size = ones[i] < 0 ? -ones[i] : ones[i], share = size > bound[i] ? 1 : size < bound[i] ? 0 : Real(0.5);
            dones[i] = along * share * (ones[i] > 0 ? 1 : ones[i] < 0 ? -1 : 0);
            const bool inside = ms[i] >= -(Real)MLSTM_BOUND && ms[i] <= (Real)MLSTM_BOUND;
            if (inside) dms[i] -= along * (1 - share) * bound[i];
        }
        this->backwards_through_sums(dones);
        this->backwards_through_state(dones);
        write_du();
    }

    // Of y = σ(o) read inverse: the sum of dread read, where dread is what d becomes and the gradient of o what y becomes.
    Real gate_backwards(Real* d, Real* y, const Real* from, Real inverse) const {
        Real sum = 0;
        each_vector(from, P, [&](int64_t j, V x) {
            const V gate = logistic<Real>(x), read = load<Real>(y + j), dread = load<Real>(d + j) * gate * inverse;
            store<Real>(y + j, dread * read * (Real(1) - gate));
            store<Real>(d + j, dread);
            const V both = dread * read;
            for (int64_t l = 0; l < L && j + l < P; l++) sum += both[l];
        });
        return sum;
    }

    // Through m, from the last step to the first.
    void write_du() {
        Real dlog = 0, after = dm;
        for (int64_t i = n - 1; i >= 0; i--) {
            // g is the sum of all p + m' - m so far, r = i - m - g.
            dlog += dg[i] - dr[i];
            const Real dmax = after + dms[i] - dr[i] - dlog;
            const Real kept = log_f[i] + (i ? ms[i - 1] : m_before);
            const Real share = kept > i_gate[i] ? 1 : kept < i_gate[i] ? 0 : Real(0.5);
            const Real dkept = dlog + dmax * share;
            dg[i] = dkept;
            dr[i] += dmax * (1 - share);
            after = dkept;
        }
        dm = after;
        if (!p.option)
            for (int64_t i = 0; i < n; i += L) store<Real>(dg + i, load<Real>(dg + i) * logistic<Real>(-load<Real>(f_gate + i)));
        const Real scale = k_scale();
        for (int64_t i = 0; i < n; i++) {
            Real* to = du(i);
            scale_row(dk[i], dk[i], scale, Kp);
            memcpy(to + q_at, dq[i], K * sizeof(Real));
            memcpy(to + k_at, dk[i], K * sizeof(Real));
            memcpy(to + v_at, dW[i], P * sizeof(Real));
            to[i_at] = dr[i], to[f_at] = dg[i];
        }
    }

    void clear_du(int64_t i) const {
        Real* to = du(i);
        memset(to + q_at, 0, K * sizeof(Real)), memset(to + k_at, 0, K * sizeof(Real)), memset(to + v_at, 0, P * sizeof(Real));
        memset(to + o_at, 0, P * sizeof(Real));
        to[i_at] = to[f_at] = 0;
    }
};

}  // namespace
