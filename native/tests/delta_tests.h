// The gated delta rule against its equations, step by step in double precision, and their reverse. For core_tests.cpp.
#pragma once
#include "testing.h"

namespace {

struct DeltaSize {
    int64_t steps, batch, heads, keys, values, chunk;
    bool gated;
    int64_t columns() const { return heads * (2 * keys + values + 2 + (gated ? values : 0)); }
    int64_t matrices() const { return heads * keys * values; }
    int64_t borders() const { return batch * (steps ? (steps - 1) / chunk : 0) * matrices(); }
};

// What goes in; fresh, lengths and resets may be left out.
struct DeltaGiven {
    DeltaSize size;
    std::vector<double> u, decay, initial, fresh, dy, dlast;
    std::vector<int64_t> lengths;
    std::vector<uint8_t> reset;

    DeltaGiven(const DeltaSize& s, bool padded, double resets, bool with_fresh, Random& random)
        : size(s), u(random.reals<double>(s.steps * s.batch * s.columns(), 2)), decay(random.reals<double>(s.heads)),
          initial(random.reals<double>(s.batch * s.matrices())), fresh(random.reals<double>(with_fresh ? s.matrices() : 0)),
          dy(random.reals<double>(s.steps * s.batch * s.heads * s.values)), dlast(random.reals<double>(s.batch * s.matrices())) {
        for (double& x : decay) x = -1.5 * fabs(x);
        for (int64_t b = 0; padded && b < s.batch; b++) lengths.push_back(b == 1 ? 0 : random.below(s.steps + 1));
        for (int64_t i = 0; resets > 0 && i < s.steps * s.batch; i++) reset.push_back(fabs(random.real()) < resets);
    }
    int64_t length(int64_t b) const { return lengths.empty() ? size.steps : lengths[b]; }
    bool resets(int64_t t, int64_t b) const { return !reset.empty() && reset[t * size.batch + b]; }
};

// What comes out.
template <class Real>
struct DeltaFound {
    std::vector<Real> y, last, du, ddecay, dinitial, dfresh;
    explicit DeltaFound(const DeltaSize& s, Real filled = 0)
        : y(s.steps * s.batch * s.heads * s.values, filled), last(s.batch * s.matrices(), filled), du(s.steps * s.batch * s.columns(), filled),
          ddecay(s.heads, filled), dinitial(s.batch * s.matrices(), filled), dfresh(s.matrices(), filled) {}

    std::vector<Real> all() const {
        std::vector<Real> all;
        for (const auto* part : {&y, &last, &du, &ddecay, &dinitial, &dfresh}) all.insert(all.end(), part->begin(), part->end());
        return all;
    }
};

double sigmoid(double x) { return 1 / (1 + exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
double silu_slope(double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }

// One head of one sequence, from its equations.
struct DeltaHead {
    const DeltaGiven& given;
    DeltaFound<double>& found;
    const int64_t b, h, A = given.size.heads, K = given.size.keys, P = given.size.values;
    std::vector<double> S, dS;

    struct Step {
        std::vector<double> before, decayed, after, q, k, v, written;
        double alpha, beta, q_length, k_length;
        bool reset;
    };

    int64_t row(int64_t t) const { return (t * given.size.batch + b) * given.size.columns(); }
    int64_t q_at(int64_t t) const { return row(t) + h * K; }
    int64_t k_at(int64_t t) const { return row(t) + (A + h) * K; }
    int64_t v_at(int64_t t) const { return row(t) + 2 * A * K + h * P; }
    int64_t a_at(int64_t t) const { return row(t) + A * (2 * K + P) + h; }
    int64_t b_at(int64_t t) const { return a_at(t) + A; }
    int64_t z_at(int64_t t) const { return row(t) + A * (2 * K + P + 2) + h * P; }
    int64_t y_at(int64_t t) const { return ((t * given.size.batch + b) * A + h) * P; }

    double unit(std::vector<double>& x, int64_t at, double scale) const {
        double square = 1e-6;
        for (int64_t i = 0; i < K; i++) x.push_back(silu(given.u[at + i])), square += x[i] * x[i];
        for (double& each : x) each *= scale / sqrt(square);
        return sqrt(square);
    }

    void run() {
        const auto matrix = given.initial.begin() + (b * A + h) * K * P;
        S.assign(matrix, matrix + K * P);
        std::vector<Step> steps;
        for (int64_t t = 0; t < given.length(b); t++) steps.push_back(forwards(t));
        std::copy(S.begin(), S.end(), found.last.begin() + (b * A + h) * K * P);
        const auto dlast = given.dlast.begin() + (b * A + h) * K * P;
        dS.assign(dlast, dlast + K * P);
        for (int64_t t = given.length(b) - 1; t >= 0; t--) backwards(t, steps[t]);
        std::copy(dS.begin(), dS.end(), found.dinitial.begin() + (b * A + h) * K * P);
    }

    Step forwards(int64_t t) {
        Step s;
        s.reset = given.resets(t, b);
        for (int64_t i = 0; s.reset && i < K * P; i++) S[i] = given.fresh.empty() ? 0 : given.fresh[h * K * P + i];
        s.before = S;
        s.q_length = unit(s.q, q_at(t), 1 / sqrt((double)K)), s.k_length = unit(s.k, k_at(t), 1);
        const double a = given.u[a_at(t)];
        s.alpha = exp(given.decay[h] * log1p(exp(a))), s.beta = sigmoid(given.u[b_at(t)]);
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
            found.y[y_at(t) + j] = given.size.gated ? y * silu(given.u[z_at(t) + j]) : y;
        }
        return s;
    }

    void backwards(int64_t t, const Step& s) {
        std::vector<double> dq(K), dk(K), dread(P), dv(P);
        double dbeta = 0, dalpha = 0;
        for (int64_t j = 0; j < P; j++) {
            double y = 0, dy = given.dy[y_at(t) + j];
            for (int64_t i = 0; i < K; i++) y += s.after[i * P + j] * s.q[i];
            if (given.size.gated) {
                const double z = given.u[z_at(t) + j];
                found.du[z_at(t) + j] = dy * y * silu_slope(z), dy *= silu(z);
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
        const double a = given.u[a_at(t)];
        found.ddecay[h] += dalpha * s.alpha * log1p(exp(a));
        found.du[a_at(t)] = dalpha * s.alpha * given.decay[h] * sigmoid(a);
        found.du[b_at(t)] = dbeta * s.beta * (1 - s.beta);
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

template <class Real>
std::vector<Real> as(const std::vector<double>& x) { return std::vector<Real>(x.begin(), x.end()); }

template <class Real>
void test_delta_of(const DeltaGiven& given) {
    const DeltaSize& s = given.size;
    const auto u = as<Real>(given.u), decay = as<Real>(given.decay), initial = as<Real>(given.initial), fresh = as<Real>(given.fresh),
               dy = as<Real>(given.dy), dlast = as<Real>(given.dlast);
    std::ostringstream what;
    what << "delta rule, real " << sizeof(Real) << ", T " << s.steps << ", B " << s.batch << ", A " << s.heads << ", K " << s.keys
         << ", P " << s.values << ", chunk " << s.chunk << (s.gated ? ", gated" : "") << (given.lengths.empty() ? "" : ", lengths")
         << (given.reset.empty() ? "" : ", resets");
    const auto outputs = [&](int threads) {
        const Real nan = std::numeric_limits<Real>::quiet_NaN();
        DeltaFound<Real> found(s, nan), unkept(s, nan);
        std::vector<Real> borders(s.borders(), nan);
        elman_chunks d{};
        d.real_bytes = sizeof(Real), d.threads = threads, d.cell = ELMAN_GATED_DELTANET, d.option = s.gated;
        d.steps = s.steps, d.batch = s.batch, d.heads = s.heads, d.keys = s.keys, d.values = s.values, d.chunk = s.chunk;
        d.u = u.data(), d.decay = decay.data(), d.initial = initial.data(), d.fresh = fresh.empty() ? nullptr : fresh.data();
        d.lengths = given.lengths.empty() ? nullptr : given.lengths.data(), d.reset = given.reset.empty() ? nullptr : given.reset.data();
        const Workspace forward(elman_chunks_workspace(&d, 0));
        d.workspace = forward.data();
        d.y = unkept.y.data(), d.last = unkept.last.data();
        elman_chunks_forward(&d);
        d.y = found.y.data(), d.last = found.last.data(), d.borders = borders.data();
        elman_chunks_forward(&d);
        expect(same_bits(unkept.y, found.y) && same_bits(unkept.last, found.last), "%s: what is kept changes bits", what.str().c_str());
        d.y = d.last = nullptr;
        d.dy = dy.data(), d.dlast = dlast.data();
        d.du = found.du.data(), d.ddecay = found.ddecay.data(), d.dinitial = found.dinitial.data(), d.dfresh = found.dfresh.data();
        const Workspace backward(elman_chunks_workspace(&d, 1));
        d.workspace = backward.data();
        elman_chunks_backward(&d);
        return found.all();
    };
    DeltaFound<double> right(s);
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t h = 0; h < s.heads; h++) DeltaHead{given, right, b, h, s.heads, s.keys, s.values, {}, {}}.run();
    const auto found = same_for_all_threads<Real>(what.str().c_str(), outputs);
    expect_close(found, right.all(), sizeof(Real) == 4 ? 1e-4 : 1e-11, what.str().c_str());
}

void test_delta() {
    Random random(11);
    const auto test = [&](const DeltaSize& size, int kind) {
        const DeltaGiven given(size, kind % 2, kind / 2 % 2 ? 0.1 : 0, kind / 4 % 2, random);
        if (kind / 8 % 2) test_delta_of<float>(given);
        else test_delta_of<double>(given);
    };
    for (int64_t steps : {0, 1, 2, 9, 40})
        for (int64_t chunk : {1, 3, 8, 17, 64})
            for (int64_t keys : {1, 5, 16})
                for (int64_t values : {1, 7, 33}) {
                    const int kind = (int)random.below(16);
                    if (random.below(THIN) == 0) test({steps, 1 + random.below(3), 1 + random.below(3), keys, values, chunk, random.below(2) == 0}, kind);
                }
    // All kinds of one size, and chunks as they are in use.
    for (int kind = 0; kind < 16; kind++) test({23, 4, 2, 6, 9, 7, kind % 3 > 0}, kind);
    for (int kind : {0, 7, 15}) test({150, 2, 2, 64, 64, 64, true}, kind);
}

}  // namespace
