// Cells written as programs and run over time, against simple loops. For core_tests.cpp.
#pragma once
#include <limits>

#include "testing.h"

namespace {

// h = tanh(u + U h + b), or, gated, h = sigmoid(p0) tanh(p1) with p = u + U h + b of twice the width.
template <class Real>
struct Elman {
    int width, pieces, precision;
    Schedule schedule;
    Random random;
    Guarded<Real> u;
    std::vector<Real> matrix, bias, initial, fresh;
    Step step;

    Elman(int width, bool gated, int precision, const Schedule& schedule)
        : width(width), pieces(gated ? 2 : 1), precision(precision), schedule(schedule), random(width + schedule.total),
          u(schedule.total, pieces * width, random), matrix(random.reals<Real>(pieces * width * width, 1 / sqrt(width))),
          bias(random.reals<Real>(pieces * width)), initial(random.reals<Real>(schedule.batch() * width)),
          fresh(random.reals<Real>(width)), step(program(width, gated)) {}

    static Program program(int width, bool gated) {
        Program p{{{ELMAN_SEQUENCE, gated ? 2 * width : width}, {ELMAN_SEQUENCE, width}, {ELMAN_BEFORE, width}},
                  2, 0, {}, {}, {}};
        if (gated)
            p.stages = {{width, {{0, 2, 0, width, 2, 0, 1, 0, 0}},
                         {{ELMAN_SIGMOID, reg(0), reg(0), NONE}, {ELMAN_TANH, reg(1), reg(1), NONE},
                          {ELMAN_MUL, array(1), reg(0), reg(1)}}}};
        else
            p.stages = {{width, {{0, 2, 0, width, 1, 1, 1, -1, 0}},
                         {{ELMAN_ADD, reg(1), reg(1), array(0)}, {ELMAN_TANH, array(1), reg(1), NONE}}}};
        return p;
    }

    bool states_given() const { return width % 2 == 0 || pieces == 2; }
    // The gated cell's matrix lies transposed.
    int64_t row_stride() const { return pieces == 1 ? width : 1; }
    int64_t column_stride() const { return pieces == 1 ? 1 : pieces * width; }

    std::vector<Real> run(int threads) {
        Guarded<Real> h(schedule.total, width);
        const elman_array arrays[] = {
            {u.data(), u.stride, nullptr, nullptr, nullptr, nullptr},
            {h.data(), h.stride, nullptr, nullptr, nullptr, nullptr},
            {h.data(), h.stride, states_given() ? initial.data() : nullptr, states_given() ? fresh.data() : nullptr, nullptr, nullptr}};
        const elman_weight weight{matrix.data(), row_stride(), column_stride(), bias.data()};
        run_steps(step.get(), schedule, sizeof(Real), precision, threads, arrays, &weight, nullptr);
        return h.all;
    }

    std::vector<double> right() {
        Guarded<double> h(schedule.total, width);
        for (int64_t t = 0; t < schedule.steps(); t++)
            for (int64_t r = 0; r < schedule.rows[t]; r++)
                for (int n = 0; n < width; n++) {
                    double p[2] = {0, 0};
                    for (int piece = 0; piece < pieces; piece++) {
                        const int row = piece * width + n;
                        p[piece] = (double)u.at(schedule.at(t, r), row) + (double)bias[row];
                        for (int k = 0; k < width; k++)
                            p[piece] += (double)matrix[row * row_stride() + k * column_stride()] * before(h, t, r, k);
                    }
                    h.at(schedule.at(t, r), n) = pieces == 1 ? tanh(p[0]) : tanh(p[1]) / (1 + exp(-p[0]));
                }
        return h.all;
    }

    double before(Guarded<double>& h, int64_t t, int64_t r, int k) {
        if (schedule.is_reset(t, r)) return states_given() ? (double)fresh[k] : 0;
        if (t > 0) return h.at(schedule.at(t - 1, r), k);
        return states_given() ? (double)initial[r * width + k] : 0;
    }
};

template <class Real>
void test_elman(int width, bool gated, int precision, const Schedule& schedule) {
    Elman<Real> cell(width, gated, precision, schedule);
    const std::string what = describe(gated ? "gated Elman cell" : "Elman cell", sizeof(Real), precision, width, schedule);
    const auto given = same_for_all_threads<Real>(what.c_str(), [&](int threads) { return cell.run(threads); });
    expect_close(given, cell.right(), tolerance<Real>(precision), what.c_str());
    if (!schedule.reset.empty() || schedule.steps() < 3 || schedule.rows[2] == 0) return;
    // NaN in one sequence, infinity in another: the first is lost from there on, the second saturated, the others
    // are as before.
    const int64_t lost = schedule.rows[2] - 1;
    cell.u.at(schedule.at(1, lost), 0) = std::numeric_limits<Real>::quiet_NaN();
    if (lost > 0) cell.u.at(schedule.at(1, lost - 1), 0) = std::numeric_limits<Real>::infinity();
    Guarded<Real> clean(schedule.total, width), hit = clean;
    clean.all = given, hit.all = cell.run(2);
    for (int64_t t = 0; t < schedule.steps(); t++)
        for (int64_t r = 0; r < schedule.rows[t]; r++)
            for (int n = 0; n < width; n++) {
                const Real is = hit.at(schedule.at(t, r), n), was = clean.at(schedule.at(t, r), n);
                if (r == lost && (t > 1 || (t == 1 && n == 0))) expect(is != is, "%s: NaN does not come out", what.c_str());
                else if (t < 1 || r != lost - 1 || (t == 1 && n > 0)) expect(is == was, "%s: NaN in another row", what.c_str());
                else expect(fabs(is) <= 1, "%s: infinity comes out of tanh", what.c_str());
            }
}

// m = m / 2 + u;  y = m - (u of the step before); the sum of all m; what resets cut off of m, backwards.
Program leaky_program(int width) {
    return {{{ELMAN_SEQUENCE, width}, {ELMAN_SEQUENCE, width}, {ELMAN_CARRY_IN, width}, {ELMAN_CARRY_OUT, width},
             {ELMAN_BEFORE, width}},
            1, width + 2, {}, {0.5},
            {{width, {}, {{ELMAN_MUL, reg(0), array(2), constant(0)}, {ELMAN_ADD, reg(0), reg(0), array(0)},
                          {ELMAN_COPY, array(3), reg(0), NONE}, {ELMAN_SUB, array(1), reg(0), array(4)},
                          {ELMAN_ACCUMULATE, {ELMAN_NONE, 0, 2}, reg(0), NONE}}}}};
}

template <class Real>
void test_leaky(int width, const Schedule& schedule) {
    Random random(width + schedule.total);
    Guarded<Real> u(schedule.total, width, random);
    const int64_t batch = schedule.batch();
    const bool given = width % 2;
    const auto initial = random.reals<Real>(batch * width), fresh = random.reals<Real>(width);
    const auto first = random.reals<Real>(batch * width);
    const Step step(leaky_program(width));
    const std::string what = describe("leaky integrator", sizeof(Real), ELMAN_FULL, width, schedule);
    const auto run = [&](int threads) {
        Guarded<Real> y(schedule.total, width), final(batch, width);
        final.stride = width;  // contiguous: its guards stand at the end
        std::vector<Real> sums(width + 2 + MARGIN, (Real)GUARD), cut(width + MARGIN, (Real)GUARD);
        const elman_array arrays[] = {{u.data(), u.stride, nullptr, nullptr, nullptr, nullptr},
                                      {y.data(), y.stride, nullptr, nullptr, nullptr, nullptr},
                                      {nullptr, 0, given ? initial.data() : nullptr, given ? fresh.data() : nullptr, nullptr, nullptr},
                                      {nullptr, 0, nullptr, nullptr, final.data(), cut.data()},
                                      {u.data(), u.stride, first.data(), nullptr, nullptr, nullptr}};
        run_steps(step.get(), schedule, sizeof(Real), ELMAN_FULL, threads, arrays, nullptr, sums.data());
        y.all.insert(y.all.end(), final.all.begin(), final.all.end());
        y.all.insert(y.all.end(), sums.begin(), sums.end());
        y.all.insert(y.all.end(), cut.begin(), cut.end());
        return y.all;
    };
    Guarded<double> y(schedule.total, width), final(batch, width);
    final.stride = width;
    std::vector<double> sums(width + 2 + MARGIN, GUARD), cut(width + MARGIN, GUARD);
    std::fill(sums.begin(), sums.begin() + width + 2, 0.0);
    std::fill(cut.begin(), cut.begin() + width, 0.0);
    for (int64_t r = 0; r < batch; r++)
        for (int n = 0; n < width; n++) {
            double m = given ? (double)initial[r * width + n] : 0;
            for (int64_t i = 0; i < schedule.length(r); i++) {
                const int64_t t = schedule.backwards ? schedule.length(r) - 1 - i : i;
                const bool reset = schedule.is_reset(t, r);
                if (reset && !schedule.backwards) m = given ? (double)fresh[n] : 0;
                m = m / 2 + (double)u.at(schedule.at(t, r), n);
                sums[n + 2] += m;
                const double before = reset ? 0 : t > 0 ? (double)u.at(schedule.at(t - 1, r), n) : (double)first[r * width + n];
                y.at(schedule.at(t, r), n) = m - before;
                if (reset && schedule.backwards) cut[n] += m, m = 0;
            }
            final.at(r, n) = m;
        }
    y.all.insert(y.all.end(), final.all.begin(), final.all.end());
    y.all.insert(y.all.end(), sums.begin(), sums.end());
    y.all.insert(y.all.end(), cut.begin(), cut.end());
    expect_close(same_for_all_threads<Real>(what.c_str(), run), y.all, tolerance<Real>(ELMAN_FULL), what.c_str());
}

// y = (x - mean) / √(variance + ε) by row; d, the gradient of x for that of y, which is g times a mask that all steps share; the sum
// of mask g y.
Program norm_program(int width) {
    const Operand numbers{ELMAN_NUMBER, 2, 0};
    return {{{ELMAN_SEQUENCE, width}, {ELMAN_SEQUENCE, width}, {ELMAN_SEQUENCE, width}, {ELMAN_SEQUENCE, width},
             {ELMAN_FIXED, width}, {ELMAN_ROWS, 2}, {ELMAN_ROWS, width + 3}, {ELMAN_SEQUENCE, 2}},
            3, width, {{5, 0}, {5, 1}, {7, 0}, {7, 1}}, {1e-3},
            {{width, {}, {{ELMAN_ROW_MOMENTS, {ELMAN_SUM, 0, 0}, array(0), constant(0)}}},
             {width, {}, {{ELMAN_NORMALISE, reg(0), array(0), array(5)}, {ELMAN_COPY, array(1), reg(0), NONE},
                          {ELMAN_MUL, reg(1), array(2), array(4)}, {ELMAN_COPY, array(6, 3), reg(1), NONE},
                          {ELMAN_ROW_SUM, {ELMAN_SUM, 2, 0}, reg(1), NONE}, {ELMAN_ROW_SUM, {ELMAN_SUM, 3, 0}, reg(1), reg(0)},
                          {ELMAN_ACCUMULATE, NONE, reg(1), reg(0)}}},
             {width, {}, {{ELMAN_COPY, reg(0), array(1), NONE}, {ELMAN_D_NORMALISE, reg(0), array(6, 3), array(7)},
                          {ELMAN_NUMBERS, numbers, array(5, 1), NONE}, {ELMAN_MUL, array(3), reg(0), numbers}}}}};
}

template <class Real>
void test_norm(int width, const Schedule& schedule) {
    Random random(width + schedule.total);
    Guarded<Real> x(schedule.total, width, random), g(schedule.total, width, random);
    for (int64_t i = 0; i < schedule.total; i++)
        for (int n = 0; n < width; n++) x.at(i, n) += 5;  // variance about a mean that is not near zero
    const auto mask = random.reals<Real>(schedule.batch() * width);
    const Step step(norm_program(width));
    const std::string what = describe("norm", sizeof(Real), ELMAN_FULL, width, schedule);
    const auto run = [&](int threads) {
        Guarded<Real> y(schedule.total, width), d(schedule.total, width), totals(schedule.total, 2);
        std::vector<Real> sums(width);
        const elman_array arrays[] = {{x.data(), x.stride, nullptr, nullptr, nullptr, nullptr},
                                      {y.data(), y.stride, nullptr, nullptr, nullptr, nullptr},
                                      {g.data(), g.stride, nullptr, nullptr, nullptr, nullptr},
                                      {d.data(), d.stride, nullptr, nullptr, nullptr, nullptr},
                                      {(void*)mask.data(), width, nullptr, nullptr, nullptr, nullptr},
                                      {nullptr, 0, nullptr, nullptr, nullptr, nullptr},
                                      {nullptr, 0, nullptr, nullptr, nullptr, nullptr},
                                      {totals.data(), totals.stride, nullptr, nullptr, nullptr, nullptr}};
        run_steps(step.get(), schedule, sizeof(Real), ELMAN_FULL, threads, arrays, nullptr, sums.data());
        y.all.insert(y.all.end(), d.all.begin(), d.all.end());
        y.all.insert(y.all.end(), sums.begin(), sums.end());
        return y.all;
    };
    Guarded<double> y(schedule.total, width), d(schedule.total, width);
    std::vector<double> sums(width);
    for (int64_t t = 0; t < schedule.steps(); t++)
        for (int64_t r = 0; r < schedule.rows[t]; r++) {
            const int64_t i = schedule.at(t, r);
            double mean = 0, variance = 0, total = 0, along = 0;
            for (int n = 0; n < width; n++) mean += (double)x.at(i, n) / width;
            for (int n = 0; n < width; n++) variance += ((double)x.at(i, n) - mean) * ((double)x.at(i, n) - mean) / width;
            const double scale = 1 / sqrt(variance + 1e-3);
            for (int n = 0; n < width; n++) {
                const double masked = (double)g.at(i, n) * (double)mask[r * width + n];
                y.at(i, n) = ((double)x.at(i, n) - mean) * scale;
                total += masked, along += masked * y.at(i, n), sums[n] += masked * y.at(i, n);
            }
            for (int n = 0; n < width; n++) {
                const double masked = (double)g.at(i, n) * (double)mask[r * width + n];
                d.at(i, n) = (masked - (total + y.at(i, n) * along) / width) * scale;
            }
        }
    y.all.insert(y.all.end(), d.all.begin(), d.all.end());
    y.all.insert(y.all.end(), sums.begin(), sums.end());
    // A norm of few columns magnifies rounding: by the scale, which is 30 at most.
    expect_close(same_for_all_threads<Real>(what.c_str(), run), y.all, 30 * tolerance<Real>(ELMAN_FULL), what.c_str());
}

// y = gain e^x / (sum of e^x over the row); the sum of x over the row; the sum of all y.
Program softmax_program(int width) {
    return {{{ELMAN_SEQUENCE, width}, {ELMAN_SEQUENCE, width}, {ELMAN_ROWS, width + 1}, {ELMAN_SHARED, width},
             {ELMAN_SEQUENCE, 1}},
            3, width, {{2, width}, {4, 0}}, {},
            {{width, {}, {{ELMAN_EXP, reg(0), array(0), NONE}, {ELMAN_COPY, array(2), reg(0), NONE},
                          {ELMAN_ROW_SUM, {ELMAN_SUM, 0, 0}, reg(0), NONE},
                          {ELMAN_ROW_SUM, {ELMAN_SUM, 1, 0}, array(0), NONE}}},
             {width, {}, {{ELMAN_NUMBERS, {ELMAN_NUMBER, 2, 0}, array(2, width), NONE},
                          {ELMAN_SPREAD, reg(1), {ELMAN_NUMBER, 2, 0}, NONE}, {ELMAN_DIV, reg(0), array(2), reg(1)},
                          {ELMAN_MUL, array(1), reg(0), array(3)}, {ELMAN_ACCUMULATE, {ELMAN_NONE, 0, 0}, array(1), NONE}}}}};
}

template <class Real>
void test_softmax(int width, const Schedule& schedule) {
    Random random(width + schedule.total);
    Guarded<Real> x(schedule.total, width, random);
    auto gain = random.reals<Real>(width);
    const Step step(softmax_program(width));
    const std::string what = describe("softmax", sizeof(Real), ELMAN_FULL, width, schedule);
    const auto run = [&](int threads) {
        Guarded<Real> y(schedule.total, width), row_sums(schedule.total, 1);
        std::vector<Real> sums(width);
        const elman_array arrays[] = {{x.data(), x.stride, nullptr, nullptr, nullptr, nullptr},
                                      {y.data(), y.stride, nullptr, nullptr, nullptr, nullptr},
                                      {nullptr, 0, nullptr, nullptr, nullptr, nullptr},
                                      {gain.data(), 0, nullptr, nullptr, nullptr, nullptr},
                                      {row_sums.data(), row_sums.stride, nullptr, nullptr, nullptr, nullptr}};
        run_steps(step.get(), schedule, sizeof(Real), ELMAN_FULL, threads, arrays, nullptr, sums.data());
        y.all.insert(y.all.end(), row_sums.all.begin(), row_sums.all.end());
        y.all.insert(y.all.end(), sums.begin(), sums.end());
        return y.all;
    };
    Guarded<double> y(schedule.total, width), row_sums(schedule.total, 1);
    std::vector<double> sums(width);
    for (int64_t i = 0; i < schedule.total; i++) {
        double total = row_sums.at(i, 0) = 0;
        for (int n = 0; n < width; n++) total += exp((double)x.at(i, n)), row_sums.at(i, 0) += (double)x.at(i, n);
        for (int n = 0; n < width; n++) sums[n] += y.at(i, n) = exp((double)x.at(i, n)) / total * (double)gain[n];
    }
    y.all.insert(y.all.end(), row_sums.all.begin(), row_sums.all.end());
    y.all.insert(y.all.end(), sums.begin(), sums.end());
    expect_close(same_for_all_threads<Real>(what.c_str(), run), y.all, tolerance<Real>(ELMAN_FULL), what.c_str());
}

void test_steps() {
    Random random(11);
    for (int64_t batch : {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 33})
        for (int width : {1, 3, 17, 63, 100})
            for (int kind = 0; kind < 8; kind++) {
                if (random.below(THIN)) continue;
                Schedule schedule(batch, 1 + random.below(7), kind % 2, kind / 2 % 2 ? 0.3 : 0, random);
                const bool gated = random.below(2);
                if (kind < 3) test_elman<float>(width, gated, ELMAN_FULL, schedule);
                else if (kind < 6) test_elman<double>(width, gated, ELMAN_FULL, schedule);
                else test_elman<float>(width, gated, 1 + random.below(2), schedule);
                schedule.backwards = random.below(2);
                if (kind % 2) test_leaky<float>(width, schedule), test_softmax<double>(width, schedule), test_norm<float>(width, schedule);
                else test_leaky<double>(width, schedule), test_softmax<float>(width, schedule), test_norm<double>(width, schedule);
            }
    // Many rows, and weights that a core's second cache won't hold, so that threads share out the columns.
    for (int kind = 0; kind < 5; kind++) {
        Schedule schedule(33, 3, kind % 2, 0.3, random);
        if (kind < 3) test_elman<float>(448, true, kind, schedule);
        else test_elman<double>(448, kind % 2, ELMAN_FULL, schedule);
    }
    // Rows of several pieces, shared by threads or not.
    for (int64_t batch : {1, 2, 5})
        for (int width : {256, 257, 530, 700}) {
            Schedule schedule(batch, 5, batch % 2, 0.3, random);
            test_leaky<float>(width, schedule);
            schedule.backwards = true;
            test_leaky<double>(width, schedule);
        }
}

}  // namespace
