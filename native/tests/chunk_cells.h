// Cells with a matrix for a state from their equations, step by step in double precision, and their reverse. For chunk_tests.h.
#pragma once
#include "testing.h"

namespace {

struct ChunkSize {
    int cell;
    int64_t steps, batch, heads, keys, values, chunk;
    bool option;
    bool mlstm() const { return cell == ELMAN_MLSTM; }
    bool mamba2() const { return cell == ELMAN_MAMBA2; }
    int64_t parameters() const { return mlstm() ? 0 : mamba2() ? 2 : 1; }
    int64_t columns() const {
        if (mamba2()) return heads * (values + 1 + (option ? values : 0)) + 2 * keys;
        return heads * (2 * keys + values + 2 + (option || mlstm() ? values : 0));
    }
    int64_t state() const { return heads * (keys * values + (mlstm() ? keys + 1 : 0)); }
    int64_t borders() const { return batch * (steps ? (steps - 1) / chunk : 0) * state(); }
};

// What goes in; fresh, lengths and resets may be left out.
struct ChunkGiven {
    ChunkSize size;
    std::vector<double> u, parameters, initial, fresh, dy, dlast;
    std::vector<int64_t> lengths;
    std::vector<uint8_t> reset;

    ChunkGiven(const ChunkSize& s, bool padded, double resets, bool with_fresh, Random& random)
        : size(s), u(random.reals<double>(s.steps * s.batch * s.columns(), 2)), parameters(random.reals<double>(s.parameters() * s.heads)),
          initial(random.reals<double>(s.batch * s.state())), fresh(random.reals<double>(with_fresh ? s.state() : 0)),
          dy(random.reals<double>(s.steps * s.batch * s.heads * s.values)), dlast(random.reals<double>(s.batch * s.state())) {
        // The first of each head is a decay.
        for (int64_t h = 0; !parameters.empty() && h < s.heads; h++) parameters[h] = -1.5 * fabs(parameters[h]);
        for (int64_t b = 0; padded && b < s.batch; b++) lengths.push_back(b == 1 ? 0 : random.below(s.steps + 1));
        for (int64_t i = 0; resets > 0 && i < s.steps * s.batch; i++) reset.push_back(fabs(random.real()) < resets);
    }
    int64_t length(int64_t b) const { return lengths.empty() ? size.steps : lengths[b]; }
    bool resets(int64_t t, int64_t b) const { return !reset.empty() && reset[t * size.batch + b]; }
};

// What comes out.
template <class Real>
struct ChunkFound {
    std::vector<Real> y, last, du, dparameters, dinitial, dfresh;
    explicit ChunkFound(const ChunkSize& s, Real filled = 0)
        : y(s.steps * s.batch * s.heads * s.values, filled), last(s.batch * s.state(), filled), du(s.steps * s.batch * s.columns(), filled),
          dparameters(s.parameters() * s.heads, filled), dinitial(s.batch * s.state(), filled), dfresh(s.state(), filled) {}

    std::vector<Real> all() const {
        std::vector<Real> all;
        for (const auto* part : {&y, &last, &du, &dparameters, &dinitial, &dfresh}) all.insert(all.end(), part->begin(), part->end());
        return all;
    }
};

double sigmoid(double x) { return 1 / (1 + exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
double silu_slope(double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }

// One head of one sequence: where its numbers are.
struct Head {
    const ChunkGiven& given;
    ChunkFound<double>& found;
    const int64_t b, h, A = given.size.heads, K = given.size.keys, P = given.size.values;

    int64_t row(int64_t t) const { return (t * given.size.batch + b) * given.size.columns(); }
    int64_t q_at(int64_t t) const { return row(t) + h * K; }
    int64_t k_at(int64_t t) const { return row(t) + (A + h) * K; }
    int64_t v_at(int64_t t) const { return row(t) + 2 * A * K + h * P; }
    // a or i, b or f, z or o.
    int64_t first_at(int64_t t) const { return row(t) + A * (2 * K + P) + h; }
    int64_t second_at(int64_t t) const { return first_at(t) + A; }
    int64_t gate_at(int64_t t) const { return row(t) + A * (2 * K + P + 2) + h * P; }
    int64_t y_at(int64_t t) const { return ((t * given.size.batch + b) * A + h) * P; }
    int64_t matrix_at() const { return b * given.size.state() + h * K * P; }
    int64_t vector_at() const { return b * given.size.state() + A * K * P + h * K; }
    int64_t number_at() const { return b * given.size.state() + A * K * P + A * K + h; }
};

std::vector<double> part(const std::vector<double>& of, int64_t at, int64_t count) { return {of.begin() + at, of.begin() + at + count}; }

// A gated DeltaNet, from its equations.
struct DeltaHead : Head {
    std::vector<double> S, dS;

    struct Step {
        std::vector<double> before, decayed, after, q, k, v, written;
        double alpha, beta, q_length, k_length;
        bool reset;
    };

    double unit(std::vector<double>& x, int64_t at, double scale) const {
        double square = 1e-6;
        for (int64_t i = 0; i < K; i++) x.push_back(silu(given.u[at + i])), square += x[i] * x[i];
        for (double& each : x) each *= scale / sqrt(square);
        return sqrt(square);
    }

    void run() {
        S = part(given.initial, matrix_at(), K * P);
        std::vector<Step> steps;
        for (int64_t t = 0; t < given.length(b); t++) steps.push_back(forwards(t));
        std::copy(S.begin(), S.end(), found.last.begin() + matrix_at());
        dS = part(given.dlast, matrix_at(), K * P);
        for (int64_t t = given.length(b) - 1; t >= 0; t--) backwards(t, steps[t]);
        std::copy(dS.begin(), dS.end(), found.dinitial.begin() + matrix_at());
    }

    Step forwards(int64_t t) {
        Step s;
        s.reset = given.resets(t, b);
        for (int64_t i = 0; s.reset && i < K * P; i++) S[i] = given.fresh.empty() ? 0 : given.fresh[h * K * P + i];
        s.before = S;
        s.q_length = unit(s.q, q_at(t), 1 / sqrt((double)K)), s.k_length = unit(s.k, k_at(t), 1);
        const double a = given.u[first_at(t)];
        s.alpha = exp(given.parameters[h] * log1p(exp(a))), s.beta = sigmoid(given.u[second_at(t)]);
        for (double& x : S) x *= s.alpha;
        s.decayed = S;
        for (int64_t j = 0; j < P; j++) {
            s.v.push_back(silu(given.u[v_at(t) + j]));
            double read = 0;
            for (int64_t i = 0; i < K; i++) read += S[i * P + j] * s.k[i];
            s.written.push_back(s.beta * (s.v[j] - read));
        }
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < P; j++) S[i * P + j] += s.k[i] * s.written[j];
        s.after = S;
        for (int64_t j = 0; j < P; j++) {
            double y = 0;
            for (int64_t i = 0; i < K; i++) y += S[i * P + j] * s.q[i];
            found.y[y_at(t) + j] = given.size.option ? y * silu(given.u[gate_at(t) + j]) : y;
        }
        return s;
    }

    void backwards(int64_t t, const Step& s) {
        std::vector<double> dq(K), dk(K), dread(P), dv(P);
        double dbeta = 0, dalpha = 0;
        for (int64_t j = 0; j < P; j++) {
            double y = 0, dy = given.dy[y_at(t) + j];
            for (int64_t i = 0; i < K; i++) y += s.after[i * P + j] * s.q[i];
            if (given.size.option) {
                const double z = given.u[gate_at(t) + j];
                found.du[gate_at(t) + j] = dy * y * silu_slope(z), dy *= silu(z);
            }
            for (int64_t i = 0; i < K; i++) dq[i] += s.after[i * P + j] * dy, dS[i * P + j] += s.q[i] * dy;
        }
        for (int64_t j = 0; j < P; j++) {
            double dwritten = 0, read = 0;
            for (int64_t i = 0; i < K; i++) {
                dwritten += dS[i * P + j] * s.k[i], read += s.decayed[i * P + j] * s.k[i];
                dk[i] += dS[i * P + j] * s.written[j];
            }
            dbeta += dwritten * (s.v[j] - read), dv[j] = s.beta * dwritten, dread[j] = -dv[j];
        }
        for (int64_t i = 0; i < K; i++)
            for (int64_t j = 0; j < P; j++) {
                dk[i] += s.decayed[i * P + j] * dread[j];
                dS[i * P + j] += s.k[i] * dread[j];
                dalpha += dS[i * P + j] * s.before[i * P + j];
                dS[i * P + j] *= s.alpha;
            }
        const double a = given.u[first_at(t)];
        found.dparameters[h] += dalpha * s.alpha * log1p(exp(a));
        found.du[first_at(t)] = dalpha * s.alpha * given.parameters[h] * sigmoid(a);
        found.du[second_at(t)] = dbeta * s.beta * (1 - s.beta);
        for (int64_t j = 0; j < P; j++) found.du[v_at(t) + j] = dv[j] * silu_slope(given.u[v_at(t) + j]);
        through_unit(q_at(t), dq, s.q, s.q_length, 1 / sqrt((double)K)), through_unit(k_at(t), dk, s.k, s.k_length, 1);
        for (int64_t i = 0; s.reset && i < K * P; i++) found.dfresh[h * K * P + i] += dS[i], dS[i] = 0;
    }

    // x = scale s / |s| for s = silu(u).
    void through_unit(int64_t at, const std::vector<double>& dx, const std::vector<double>& x, double length, double scale) {
        double along = 0;
        for (int64_t i = 0; i < K; i++) along += dx[i] * x[i];
        for (int64_t i = 0; i < K; i++)
            found.du[at + i] = (scale * dx[i] - along / scale * x[i]) / length * silu_slope(given.u[at + i]);
    }
};

// An mLSTM, from its equations.
struct MLSTMHead : Head {
    std::vector<double> S, N, dS, dN;
    double m = 0, dm = 0;

    struct Step {
        std::vector<double> S_before, N_before, S, N, q, k, v;
        double i, f, log_f, m_before, m, kept, written, sum, bound;
        bool reset;
    };

    void run() {
        S = part(given.initial, matrix_at(), K * P), N = part(given.initial, vector_at(), K), m = given.initial[number_at()];
        std::vector<Step> steps;
        for (int64_t t = 0; t < given.length(b); t++) steps.push_back(forwards(t));
        std::copy(S.begin(), S.end(), found.last.begin() + matrix_at());
        std::copy(N.begin(), N.end(), found.last.begin() + vector_at());
        found.last[number_at()] = m;
        dS = part(given.dlast, matrix_at(), K * P), dN = part(given.dlast, vector_at(), K), dm = given.dlast[number_at()];
        for (int64_t t = given.length(b) - 1; t >= 0; t--) backwards(t, steps[t]);
        std::copy(dS.begin(), dS.end(), found.dinitial.begin() + matrix_at());
        std::copy(dN.begin(), dN.end(), found.dinitial.begin() + vector_at());
        found.dinitial[number_at()] = dm;
    }

    Step forwards(int64_t t) {
        Step s;
        s.reset = given.resets(t, b);
        if (s.reset) {
            const bool zero = given.fresh.empty();
            for (int64_t i = 0; i < K * P; i++) S[i] = zero ? 0 : given.fresh[h * K * P + i];
            for (int64_t i = 0; i < K; i++) N[i] = zero ? 0 : given.fresh[A * K * P + h * K + i];
            m = zero ? 0 : given.fresh[A * K * P + A * K + h];
        }
        s.S_before = S, s.N_before = N, s.m_before = m;
        s.q = part(given.u, q_at(t), K), s.k = part(given.u, k_at(t), K), s.v = part(given.u, v_at(t), P);
        for (double& x : s.k) x /= sqrt((double)K);
        s.i = given.u[first_at(t)], s.f = given.u[second_at(t)];
        s.log_f = given.size.option ? s.f : -log1p(exp(-s.f));
        m = std::max(s.log_f + m, s.i);
        s.kept = exp(s.log_f + s.m_before - m), s.written = exp(s.i - m), s.m = m;
        for (int64_t i = 0; i < K; i++) {
            N[i] = s.kept * N[i] + s.written * s.k[i];
            for (int64_t j = 0; j < P; j++) S[i * P + j] = s.kept * S[i * P + j] + s.written * s.k[i] * s.v[j];
        }
        s.S = S, s.N = N, s.sum = 0, s.bound = exp(-m);
        for (int64_t i = 0; i < K; i++) s.sum += N[i] * s.q[i];
        for (int64_t j = 0; j < P; j++) {
            double read = 0;
            for (int64_t i = 0; i < K; i++) read += S[i * P + j] * s.q[i];
            found.y[y_at(t) + j] = sigmoid(given.u[gate_at(t) + j]) * read / std::max(fabs(s.sum), s.bound);
        }
        return s;
    }

    void backwards(int64_t t, const Step& s) {
        std::vector<double> dq(K), dk(K), dv(P);
        const double divisor = std::max(fabs(s.sum), s.bound);
        double ddivisor = 0, dkept = 0, dwritten = 0;
        for (int64_t j = 0; j < P; j++) {
            const double o = sigmoid(given.u[gate_at(t) + j]), dy = given.dy[y_at(t) + j], dread = dy * o / divisor;
            double read = 0;
            for (int64_t i = 0; i < K; i++) {
                read += s.S[i * P + j] * s.q[i];
                dq[i] += s.S[i * P + j] * dread, dS[i * P + j] += s.q[i] * dread;
            }
            found.du[gate_at(t) + j] = dy * read / divisor * o * (1 - o);
            ddivisor -= dread * read / divisor;
        }
        const double dsum = fabs(s.sum) > s.bound ? (s.sum > 0 ? ddivisor : -ddivisor) : 0;
        if (fabs(s.sum) <= s.bound) dm -= ddivisor * s.bound;
        for (int64_t i = 0; i < K; i++) {
            dq[i] += dsum * s.N[i], dN[i] += dsum * s.q[i];
            dk[i] += s.written * dN[i], dwritten += dN[i] * s.k[i], dkept += dN[i] * s.N_before[i];
            for (int64_t j = 0; j < P; j++) {
                const double d = dS[i * P + j];
                dk[i] += s.written * d * s.v[j], dv[j] += s.written * d * s.k[i];
                dwritten += d * s.k[i] * s.v[j], dkept += d * s.S_before[i * P + j];
                dS[i * P + j] *= s.kept;
            }
            dN[i] *= s.kept;
        }
        dkept *= s.kept, dwritten *= s.written;
        dm -= dkept + dwritten;
        const bool by_kept = s.log_f + s.m_before > s.i;
        const double dlog_f = dkept + (by_kept ? dm : 0);
        found.du[first_at(t)] = dwritten + (by_kept ? 0 : dm);
        found.du[second_at(t)] = dlog_f * (given.size.option ? 1 : sigmoid(-s.f));
        dm = dlog_f;
        for (int64_t i = 0; i < K; i++) found.du[q_at(t) + i] = dq[i], found.du[k_at(t) + i] = dk[i] / sqrt((double)K);
        for (int64_t j = 0; j < P; j++) found.du[v_at(t) + j] = dv[j];
        if (!s.reset) return;
        for (int64_t i = 0; i < K * P; i++) found.dfresh[h * K * P + i] += dS[i], dS[i] = 0;
        for (int64_t i = 0; i < K; i++) found.dfresh[A * K * P + h * K + i] += dN[i], dN[i] = 0;
        found.dfresh[A * K * P + A * K + h] += dm, dm = 0;
    }
};

// Mamba-2, from its equations.
struct Mamba2Head : Head {
    std::vector<double> S, dS;

    struct Step {
        std::vector<double> before, after, q, k, x;
        double size, kept;
    };

    int64_t x_at(int64_t t) const { return row(t) + (given.size.option ? A * P : 0) + h * P; }
    int64_t shared_at(int64_t t) const { return row(t) + (given.size.option ? 2 : 1) * A * P; }
    int64_t d_at(int64_t t) const { return shared_at(t) + 2 * K + h; }
    int64_t z_at(int64_t t) const { return row(t) + h * P; }
    double skip() const { return given.parameters[A + h]; }

    void run() {
        S = part(given.initial, matrix_at(), K * P);
        std::vector<Step> steps;
        for (int64_t t = 0; t < given.length(b); t++) steps.push_back(forwards(t));
        std::copy(S.begin(), S.end(), found.last.begin() + matrix_at());
        dS = part(given.dlast, matrix_at(), K * P);
        for (int64_t t = given.length(b) - 1; t >= 0; t--) backwards(t, steps[t]);
        std::copy(dS.begin(), dS.end(), found.dinitial.begin() + matrix_at());
    }

    Step forwards(int64_t t) {
        Step s;
        for (int64_t i = 0; given.resets(t, b) && i < K * P; i++) S[i] = given.fresh.empty() ? 0 : given.fresh[h * K * P + i];
        s.before = S;
        for (int64_t i = 0; i < K; i++) s.k.push_back(silu(given.u[shared_at(t) + i])), s.q.push_back(silu(given.u[shared_at(t) + K + i]));
        s.size = log1p(exp(given.u[d_at(t)])), s.kept = exp(given.parameters[h] * s.size);
        for (int64_t j = 0; j < P; j++) {
            s.x.push_back(silu(given.u[x_at(t) + j]));
            double y = skip() * s.x[j];
            for (int64_t i = 0; i < K; i++) {
                S[i * P + j] = s.kept * S[i * P + j] + s.size * s.k[i] * s.x[j];
                y += S[i * P + j] * s.q[i];
            }
            found.y[y_at(t) + j] = given.size.option ? y * silu(given.u[z_at(t) + j]) : y;
        }
        s.after = S;
        return s;
    }

    void backwards(int64_t t, const Step& s) {
        double dkept = 0, dsize = 0;
        for (int64_t j = 0; j < P; j++) {
            double dy = given.dy[y_at(t) + j];
            if (given.size.option) {
                const double z = given.u[z_at(t) + j];
                double y = skip() * s.x[j];
                for (int64_t i = 0; i < K; i++) y += s.after[i * P + j] * s.q[i];
                found.du[z_at(t) + j] = dy * y * silu_slope(z), dy *= silu(z);
            }
            double dx = skip() * dy;
            found.dparameters[A + h] += dy * s.x[j];
            for (int64_t i = 0; i < K; i++) {
                double& d = dS[i * P + j];
                const int64_t at = shared_at(t) + i;
                found.du[at + K] += s.after[i * P + j] * dy * silu_slope(given.u[at + K]), d += s.q[i] * dy;
                found.du[at] += d * s.size * s.x[j] * silu_slope(given.u[at]);
                dx += d * s.size * s.k[i], dsize += d * s.k[i] * s.x[j], dkept += d * s.before[i * P + j];
                d *= s.kept;
            }
            found.du[x_at(t) + j] = dx * silu_slope(given.u[x_at(t) + j]);
        }
        found.dparameters[h] += dkept * s.kept * s.size;
        found.du[d_at(t)] = (dsize + dkept * s.kept * given.parameters[h]) * sigmoid(given.u[d_at(t)]);
        for (int64_t i = 0; given.resets(t, b) && i < K * P; i++) found.dfresh[h * K * P + i] += dS[i], dS[i] = 0;
    }
};

}  // namespace
