// Tests of the core's C interface, for each instruction set of this machine: results against simple loops in double precision,
// bits against those of one thread. Prints a line for each failure; exits with 1 if there is any.
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "cell_tests.h"
#include "chunk_tests.h"

namespace {

// ---- products ----------------------------------------------------------------------------------------------------------

enum Layout { A_BT, A_B, AT_B };

void multiply(elman_product p, int threads) {
    p.threads = threads;
    const Workspace workspace(elman_product_workspace(&p));
    p.workspace = workspace.data();
    elman_multiply(&p);
}

template <class Real>
void test_product(int64_t m, int64_t n, int64_t k, Layout layout, bool accumulate, bool with_bias, int precision) {
    Random random(m * 10007 + n * 101 + k);
    const auto a = random.reals<Real>(m * k + 1), b = random.reals<Real>(k * n + 1), bias = random.reals<Real>(n);
    const Guarded<Real> before(m, n, random);
    elman_product p{};
    p.real_bytes = sizeof(Real), p.precision = precision, p.accumulate = accumulate;
    p.m = m, p.n = n, p.k = k, p.a = a.data(), p.b = b.data(), p.bias = with_bias ? bias.data() : nullptr;
    p.a_row = layout == AT_B ? 1 : k, p.a_column = layout == AT_B ? m : 1;
    p.b_row = layout == A_BT ? 1 : n, p.b_column = layout == A_BT ? k : 1;
    Guarded<Real> first(0, 0);
    for (int threads = 1; threads <= 3; threads++) {
        Guarded<Real> c = before;
        p.c = c.data(), p.c_row = c.stride;
        multiply(p, threads);
        if (threads == 1) first = c;
        expect(same_bits(first.all, c.all), "product %dx%dx%d layout %d real %d precision %d: %d threads give other bits",
               (int)m, (int)n, (int)k, layout, (int)sizeof(Real), precision, threads);
    }
    expect(first.guards_hold(), "product %dx%dx%d layout %d: written beyond c", (int)m, (int)n, (int)k, layout);
    double worst = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = with_bias ? (double)bias[j] : accumulate ? (double)before.all[(i + 1) * before.stride + j] : 0;
            double size = 1;
            for (int64_t l = 0; l < k; l++) {
                const double term = (double)a[i * p.a_row + l * p.a_column] * (double)b[l * p.b_row + j * p.b_column];
                sum += term, size += term * term;
            }
            const double error = fabs((double)first.at(i, j) - sum) / sqrt(size);
            if (worst == worst && !(error <= worst)) worst = error;  // NaN is the worst, and stays
        }
    expect(worst <= tolerance<Real>(precision),
           "product %dx%dx%d layout %d real %d precision %d accumulate %d bias %d: error %g", (int)m, (int)n, (int)k,
           layout, (int)sizeof(Real), precision, accumulate, with_bias, worst);
}

void test_products() {
    const std::vector<int64_t> sizes{1, 3, 7, 8, 9, 31, 33, 64, 100};
    const auto test = [](int64_t m, int64_t n, int64_t k, int kind) {
        const auto layout = (Layout)(kind % 3);
        const bool accumulate = kind / 3 % 3 == 1, with_bias = kind / 3 % 3 == 2;
        if (kind / 9 % 2) test_product<double>(m, n, k, layout, accumulate, with_bias, ELMAN_FULL);
        else test_product<float>(m, n, k, layout, accumulate, with_bias, kind / 18);
    };
    Random random(5);
    for (int64_t m : sizes)
        for (int64_t n : sizes)
            for (int64_t k : sizes)
                if (random.below(THIN) == 0) test(m, n, k, (int)random.below(54));
    for (int kind = 0; kind < 54; kind++) {
        test(9, 33, 0, kind), test(17, 35, 256, kind), test(7, 100, 257, kind), test(33, 9, 611, kind), test(40, 70, 31, kind),
            test(41, 20, 30, kind);
        if (kind % THIN == 0) test(20, 1100, 300, kind);  // more panels than are packed at once
    }
    test(0, 5, 3, 0), test(5, 0, 3, 1);
}

void test_gather() {
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{0, 3}, {1, 1}, {7, 5}, {4001, 33}, {3, 50000}}) {
        Random random(rows);
        const int64_t sources = rows / 2 + 1, gap = 2;
        const auto from = random.reals<float>(sources * (width + gap)), others = random.reals<float>(sources * width);
        std::vector<int64_t> index(rows);
        for (auto& i : index) i = random.below(2 * sources) - sources;
        std::vector<float> right;
        for (int64_t i : index) {
            const float* row = i >= 0 ? &from[i * (width + gap)] : &others[(-1 - i) * width];
            right.insert(right.end(), row, row + width);
        }
        right.push_back((float)GUARD);
        for (int threads = 1; threads <= 3; threads++) {
            std::vector<float> to(rows * width + 1, (float)GUARD);
            elman_gather(to.data(), from.data(), (width + gap) * 4, others.data(), index.data(), rows, width * 4, threads);
            expect(same_bits(to, right), "gather of %d rows, %d threads", (int)rows, threads);
        }
    }
}

// ---- functions -----------------------------------------------------------------------------------------------------------

template <class Real>
std::vector<Real> applied(int op, const std::vector<Real>& a, const std::vector<Real>& b = {}) {
    const Step step({{{ELMAN_SEQUENCE, 1}, {ELMAN_SEQUENCE, 1}, {ELMAN_SEQUENCE, 1}}, 0, 0, {}, {},
                     {{1, {}, {{op, array(1), array(0), b.empty() ? NONE : array(2)}}}}});
    Random random(1);
    std::vector<Real> d(a.size());
    const elman_array arrays[] = {{(void*)a.data(), 1, nullptr, nullptr, nullptr, nullptr},
                                  {d.data(), 1, nullptr, nullptr, nullptr, nullptr},
                                  {(void*)b.data(), 1, nullptr, nullptr, nullptr, nullptr}};
    const Schedule one_step((int64_t)a.size(), 1, false, 0, random);
    run_steps(step.get(), one_step, sizeof(Real), ELMAN_FULL, 1, arrays, nullptr, nullptr);
    return d;
}

template <class Real>
void test_function(const char* name, int op, long double (*right)(long double), double from, double to, double tolerance) {
    std::vector<Real> x;
    for (int i = 0; i <= 20000; i++) x.push_back((Real)(from + (to - from) * i / 20000));
    for (double small = 1; small > 1e-30; small *= 0.97) {
        x.push_back((Real)small);
        if (from < 0) x.push_back((Real)-small);
    }
    const std::vector<Real> y = applied(op, x);
    double worst = 0, at = 0;
    for (size_t i = 0; i < x.size(); i++) {
        const long double wanted = right((long double)x[i]), least = std::numeric_limits<Real>::min();
        const double error = (double)(fabsl((long double)y[i] - wanted) / std::max(fabsl(wanted), least));
        if (worst == worst && !(error <= worst)) worst = error, at = (double)x[i];
    }
    if (getenv("ELMAN_TESTS_MEASURE")) printf("%s %s real %d: %.3g at %.9g\n", elman_isa(), name, (int)sizeof(Real), worst, at);
    expect(worst <= tolerance, "%s, real %d: relative error %.3g at %.9g", name, (int)sizeof(Real), worst, at);
}

template <class Real>
void test_functions() {
    const bool single = sizeof(Real) == 4;
    const double end = single ? 87 : 708, tolerance = single ? 5e-7 : 1e-15;
    const Real inf = std::numeric_limits<Real>::infinity(), nan = std::numeric_limits<Real>::quiet_NaN(), zero = 0;
    const auto logistic = [](long double x) { return 1 / (1 + expl(-x)); };
    test_function<Real>("exp", ELMAN_EXP, expl, single ? -104 : -746, single ? 88.7 : 709.7, tolerance);
    for (double range : {4.0, 30.0, end}) {
        test_function<Real>("exp", ELMAN_EXP, expl, -range, range, tolerance);
        test_function<Real>("tanh", ELMAN_TANH, tanhl, -range, range, tolerance);
        test_function<Real>("sigmoid", ELMAN_SIGMOID, logistic, -range, range, tolerance);
    }
    const auto softplus = [](long double x) { return x > 20 ? x : log1pl(expl(x)); };
    test_function<Real>("log", ELMAN_LOG, logl, 1e-6, 10, tolerance);
    test_function<Real>("log", ELMAN_LOG, logl, 0.9, 1.1, tolerance);
    test_function<Real>("log", ELMAN_LOG, logl, 1e-6, single ? 1e34 : 1e300, tolerance);
    test_function<Real>("softplus", ELMAN_SOFTPLUS, softplus, -30, 30, tolerance);
    const auto are = [&](const char* name, int op, const std::vector<Real>& x, const std::vector<Real>& wanted) {
        const std::vector<Real> y = applied(op, x);
        for (size_t i = 0; i < x.size(); i++)
            expect((y[i] != y[i] && wanted[i] != wanted[i]) || (y[i] == wanted[i] && signbit(y[i]) == signbit(wanted[i])),
                   "%s(%g), real %d, is %g, not %g", name, (double)x[i], (int)sizeof(Real), (double)y[i], (double)wanted[i]);
    };
    are("exp", ELMAN_EXP, {inf, -inf, nan, zero, -zero, single ? Real(100) : Real(710)}, {inf, zero, nan, 1, 1, inf});
    are("tanh", ELMAN_TANH, {inf, -inf, nan, zero, -zero, 50, -50}, {1, -1, nan, zero, -zero, 1, -1});
    are("sigmoid", ELMAN_SIGMOID, {inf, nan, zero, -zero, 1000}, {1, nan, Real(0.5), Real(0.5), 1});
    are("relu", ELMAN_RELU, {inf, -inf, nan, zero, 2, -2}, {inf, zero, nan, zero, 2, zero});
    are("sqrt", ELMAN_SQRT, {inf, nan, zero, -zero, 4, -1}, {inf, nan, zero, -zero, 2, nan});
    are("log", ELMAN_LOG, {inf, nan, zero, -zero, 1, -1, -inf}, {inf, nan, -inf, -inf, zero, nan, nan});
    are("softplus", ELMAN_SOFTPLUS, {inf, nan, -inf, 1000}, {inf, nan, zero, 1000});
    are("neg", ELMAN_NEG, {inf, nan, zero, -zero, 4}, {-inf, nan, -zero, zero, -4});
    are("copy", ELMAN_COPY, {inf, nan, zero, -zero, 4}, {inf, nan, zero, -zero, 4});
    for (const Real y : applied<Real>(ELMAN_SIGMOID, {-inf, -1000, (Real)(-end - 1)}))
        expect(y >= 0 && y < 3 * std::numeric_limits<Real>::min(), "sigmoid of less than -%g is %g", end, (double)y);
    Random random(3);
    const auto a = random.reals<Real>(100, 2), b = random.reals<Real>(100, 2);
    const auto pairs = [&](const char* name, int op, Real (*right)(Real, Real)) {
        const auto d = applied(op, a, b);
        for (size_t i = 0; i < a.size(); i++)
            expect(fabs(d[i] - right(a[i], b[i])) <= 8 * std::numeric_limits<Real>::epsilon() * (1 + fabs(d[i])),
                   "%s(%.9g, %.9g) is %.9g", name, (double)a[i], (double)b[i], (double)d[i]);
    };
    pairs("add", ELMAN_ADD, [](Real x, Real y) { return x + y; });
    pairs("sub", ELMAN_SUB, [](Real x, Real y) { return x - y; });
    pairs("mul", ELMAN_MUL, [](Real x, Real y) { return x * y; });
    pairs("div", ELMAN_DIV, [](Real x, Real y) { return x / y; });
    pairs("max", ELMAN_MAX, [](Real x, Real y) { return x > y ? x : y; });
    pairs("min", ELMAN_MIN, [](Real x, Real y) { return x < y ? x : y; });
    pairs("at_least", ELMAN_AT_LEAST, [](Real x, Real y) { return Real(x >= y); });
    for (int op : {ELMAN_MAX, ELMAN_MIN})
        for (const Real y : applied<Real>(op, {nan, 1, nan}, {1, nan, nan})) expect(y != y, "the larger or smaller of NaN and 1 is %g", (double)y);
    pairs("d_sigmoid", ELMAN_D_SIGMOID, [](Real x, Real y) { return x * y * (1 - y); });
    pairs("d_tanh", ELMAN_D_TANH, [](Real x, Real y) { return x * (1 - y * y); });
    pairs("d_relu", ELMAN_D_RELU, [](Real x, Real y) { return y > 0 ? x : Real(0); });
}

// ---- damaged programs ----------------------------------------------------------------------------------------------------

// Reads what may not be a program. It is not run: what it declares need not be what the arrays are.
// With as many constants as the code asks for: it isn't refused for their number.
bool is_accepted(const std::vector<int32_t>& code) {
    const std::vector<double> constants(code.size() > 4 && code[4] > 0 && code[4] <= 1 << 20 ? code[4] : 0);
    const std::vector<int32_t> exact(code.begin(), code.end());  // no room behind it: a sanitizer sees what is read too far
    const char* why = nullptr;
    elman_step* step = elman_step_new(exact.data(), (int64_t)exact.size(), constants.data(), (int64_t)constants.size(), &why);
    expect(step || (why && strlen(why) > 5), "a program is refused without a sentence");
    elman_step_free(step);
    return step;
}

void test_damaged_programs() {
    Random random(7);
    for (const Program& program :
         {Elman<float>::program(3, false), Elman<float>::program(3, true), leaky_program(3), softmax_program(3), norm_program(3)}) {
        const std::vector<int32_t> code = program.code();
        expect(is_accepted(code), "a valid program is refused");
        for (size_t length = 0; length < code.size(); length++)
            expect(!is_accepted({code.begin(), code.begin() + length}), "a program cut at %d is accepted",
                   (int)length);
        auto longer = code;
        longer.push_back(0);
        expect(!is_accepted(longer), "a program with a number too many is accepted");
        for (size_t i = 0; i < code.size(); i++)
            for (int32_t value : {-1, 1 << 30, 7, 0, 1, 2, 3, 4, 5, 1 << 20, INT_MIN, INT_MAX}) {
                auto damaged = code;
                damaged[i] = value;
                is_accepted(damaged);
            }
        for (int i = 0; i < 20000 / THIN; i++) {
            auto damaged = code;
            for (int64_t j = random.below(3); j >= 0; j--) {
                int32_t& number = damaged[random.below((int64_t)code.size())];
                number = random.below(4) ? (int32_t)random.below(9) - 1 : (int32_t)(2 * random.number());
            }
            is_accepted(damaged);
        }
    }
}

// Programs that would read or write where they must not.
void test_refused_programs() {
    const auto refused = [&](const char* what, const Program& program) {
        expect(!is_accepted(program.code()), "a program is accepted: %s", what);
    };
    const Operand nowhere = array(1 << 20), sum{ELMAN_SUM, 0, 0};
    const auto one = [](const Instruction& instruction) {
        return Program{{{ELMAN_SEQUENCE, 3}, {ELMAN_SHARED, 3}}, 1, 3, {{0, 0}}, {}, {{3, {}, {instruction}}}};
    };
    refused("it writes a parameter", one({ELMAN_COPY, array(1), reg(0), NONE}));
    refused("it reads beyond an array", one({ELMAN_COPY, reg(0), array(0, 1), NONE}));
    refused("it adds nothing", one({ELMAN_ADD, reg(0), reg(0), NONE}));
    refused("its accumulators end before", one({ELMAN_ACCUMULATE, {ELMAN_NONE, 0, 1}, reg(0), NONE}));
    refused("a row sum has a second operand that is nowhere", one({ELMAN_ROW_SUM, sum, reg(0), nowhere}));
    refused("an accumulator has a second operand that is nowhere", one({ELMAN_ACCUMULATE, NONE, reg(0), nowhere}));
    refused("an accumulator is an array that is nowhere", one({ELMAN_ACCUMULATE, {ELMAN_ARRAY, 1 << 20, 0}, reg(0), NONE}));
    refused("a number is added to a tile from the left", one({ELMAN_ADD, reg(0), {ELMAN_NUMBER, 0, 0}, reg(0)}));
    refused("a tile is made a number", one({ELMAN_TANH, {ELMAN_NUMBER, 0, 0}, reg(0), NONE}));
    refused("a norm has no numbers", one({ELMAN_NORMALISE, reg(0), array(0), reg(0)}));
    refused("a norm's second number lies beyond its array", one({ELMAN_NORMALISE, reg(0), array(0), array(0, 2)}));
    refused("moments have no second sum", one({ELMAN_ROW_MOMENTS, sum, reg(0), NONE}));
    Program writes_parameter = one({ELMAN_ROW_SUM, sum, reg(0), NONE});
    writes_parameter.sums[0] = {1, 0};
    refused("a row sum is written to a parameter", writes_parameter);
    refused("2^12 pieces of 2^20 columns begin with 3 columns",
            {{{ELMAN_SEQUENCE, 3}}, 1 << 12, 0, {}, {}, {{1 << 20, {{0, 0, 0, 1, 1 << 12, 0, 0, 0, 0}}, {}}}});
    // Valid, if senseless: 2^31 pieces in all.
    const std::vector<Product> products(2048, {0, 0, 0, 1, 1 << 20, 0, 0, -1, 0});
    Program many{{{ELMAN_SEQUENCE, 100}}, 1 << 20, 0, {}, {}, {{1, products, {}}}};
    many.stages[0].products.push_back({0, 0, 0, 1, 100, 0, 0, 0, 0});
    is_accepted(many.code());
}

// ---- threads and processes of the caller -----------------------------------------------------------------------------------

void test_concurrent_calls() {
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; i++)
        callers.emplace_back([i] {
            Random random(i);
            Elman<float> cell(40 + i, i % 2, ELMAN_FULL, Schedule(i < 2 ? 3 : 40, 6, true, 0, random));
            const std::vector<float> right = cell.run(1);
            for (int turn = 0; turn < 30; turn++) expect(same_bits(cell.run(2), right), "another thread's call changes a run");
            for (int turn = 0; turn < 3; turn++) test_product<double>(31 + i, 33, 64, A_B, false, true, ELMAN_FULL);
        });
    for (std::thread& caller : callers) caller.join();
}

// A child process has none of its parent's threads.
void test_fork() {
#if !defined(__SANITIZE_THREAD__)
    Random random(1);
    Elman<double> cell(50, true, ELMAN_FULL, Schedule(40, 5, true, 0, random));
    const std::vector<double> right = cell.run(2);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);  // threads that never come would be waited for for ever
        failures = 0;
        test_product<float>(64, 100, 33, A_BT, false, false, ELMAN_FULL);
        expect(same_bits(cell.run(2), right), "a run in a child process gives other bits");
        fflush(stdout);
        _exit(failures ? 1 : 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    expect(status == 0, "a child process ends with status %d", status);
#endif
}

void test_instruction_set(const std::string& name) {
    expect(elman_use_isa(name.c_str()) == 0 && name == elman_isa(), "instruction set %s can't be used", name.c_str());
    expect(elman_use_isa("abacus") == 1 && name == elman_isa(), "an instruction set that is none can be used");
    expect(elman_has_precision(ELMAN_FULL) == 1, "there is no full precision");
    test_products();
    test_gather();
    test_steps();
    test_chunks();
    test_functions<float>();
    test_functions<double>();
    test_concurrent_calls();
    test_fork();
}

}  // namespace

int main() {
    setvbuf(stdout, nullptr, _IOLBF, 0);
    // Products by arrays that stand for tiles are right, but slower than full ones.
    expect(getenv("ELMAN_ISA") || strcmp(elman_isa(), "amxmodel"), "products of bf16 are used where they are slower");
    test_damaged_programs();
    std::istringstream names(elman_isas());
    for (std::string name; names >> name;) test_instruction_set(name);
    test_refused_programs();
    if (failures) printf("%d failures\n", failures.load());
    else printf("all right: %s\n", elman_isas());
    return failures ? 1 : 0;
}
