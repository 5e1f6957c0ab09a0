// What the tests of the core stand on: expectations, random numbers, guarded memory, programs and schedules. For one file only.
#pragma once
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "../include/elman.h"

namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int THIN = 6;  // instrumented code is slow: of the many sizes, one in so many
#else
constexpr int THIN = 1;
#endif

std::atomic<int> failures{0};

__attribute__((format(printf, 2, 3))) void expect(bool right, const char* format, ...) {
    if (right) return;
    const int before = failures++;
    if (before == 50) printf("... and more\n");
    if (before >= 50) return;
    char text[500];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    printf("%s: %s\n", elman_isa(), text);
}

// Small numbers of either sign, the same in each run.
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed * 2654435761u + 1) {}
    uint32_t number() { return (uint32_t)((state_ = state_ * 6364136223846793005u + 1442695040888963407u) >> 33); }
    int64_t below(int64_t end) { return number() % end; }
    double real() { return number() / 1073741824.0 - 1; }

    template <class Real>
    std::vector<Real> reals(int64_t count, double scale = 1) {
        std::vector<Real> all(count);
        for (Real& x : all) x = (Real)(scale * real());
        return all;
    }

private:
    uint64_t state_;
};

template <class Real>
bool same_bits(const std::vector<Real>& a, const std::vector<Real>& b) {
    return a.size() == b.size() && (a.empty() || !memcmp(a.data(), b.data(), a.size() * sizeof(Real)));
}

template <class Real>
double tolerance(int precision) {
    return precision == ELMAN_BF16 ? 2e-2 : precision == ELMAN_BF16X3 ? 4e-5 : sizeof(Real) == 4 ? 5e-6 : 1e-13;
}

// All bits set: NaN both as float and as double. Exactly as large as was asked for, so that a sanitizer sees what lies beyond.
class Workspace {
public:
    explicit Workspace(int64_t bytes) : data_(aligned_alloc(64, bytes ? bytes : 64)) { memset(data_, 0xff, bytes); }
    Workspace(const Workspace&) = delete;
    ~Workspace() { free(data_); }
    void* data() const { return data_; }

private:
    void* data_;
};

constexpr double GUARD = 12345;
constexpr int MARGIN = 3;  // guard values after each row

// A matrix with guards around each row.
template <class Real>
struct Guarded {
    int64_t rows, columns, stride;
    std::vector<Real> all;

    Guarded(int64_t rows, int64_t columns)
        : rows(rows), columns(columns), stride(columns + MARGIN), all((rows + 1) * stride, (Real)GUARD) {}
    Guarded(int64_t rows, int64_t columns, Random& random) : Guarded(rows, columns) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t n = 0; n < columns; n++) at(r, n) = (Real)random.real();
    }
    Real* data() { return all.data() + stride; }  // a row of guards comes first
    Real& at(int64_t r, int64_t n) { return all[(r + 1) * stride + n]; }
    bool guards_hold() {
        for (int64_t r = -1; r < rows; r++)
            for (int64_t n = r < 0 ? 0 : columns; n < stride; n++)
                if (at(r, n) != (Real)GUARD) return false;
        return true;
    }
};

// ---- programs ----------------------------------------------------------------------------------------------------------

struct Operand { int kind, index, column; };
const Operand NONE{ELMAN_NONE, 0, 0};
Operand reg(int index) { return {ELMAN_REGISTER, index, 0}; }
Operand array(int index, int column = 0) { return {ELMAN_ARRAY, index, column}; }
Operand constant(int index) { return {ELMAN_CONSTANT, index, 0}; }

struct Instruction { int op; Operand target, a, b; };
struct Product { int weight, array, column, inner, pieces, reg, bias, addend, addend_column; };
struct Stage {
    int width;
    std::vector<Product> products;
    std::vector<Instruction> instructions;
};
struct Form { int kind, columns; };
struct Sum { int array, column; };

struct Program {
    std::vector<Form> arrays;
    int registers, accumulators;
    std::vector<Sum> sums;
    std::vector<double> constants;
    std::vector<Stage> stages;

    std::vector<int32_t> code() const {
        std::vector<int32_t> code{(int)arrays.size(), registers, (int)sums.size(), accumulators, (int)constants.size(),
                                  (int)stages.size()};
        const auto add = [&](std::initializer_list<int> numbers) { code.insert(code.end(), numbers); };
        for (const Form& f : arrays) add({f.kind, f.columns});
        for (const Sum& s : sums) add({s.array, s.column});
        for (const Stage& s : stages) {
            add({s.width, (int)s.products.size(), (int)s.instructions.size()});
            for (const Product& p : s.products)
                add({p.weight, p.array, p.column, p.inner, p.pieces, p.reg, p.bias, p.addend, p.addend_column});
            for (const Instruction& i : s.instructions) {
                code.push_back(i.op);
                for (const Operand& o : {i.target, i.a, i.b}) add({o.kind, o.index, o.column});
            }
        }
        return code;
    }
};

// What a run is about: lengths that fall, flags for resets, direction.
struct Schedule {
    std::vector<int64_t> rows, offset;
    std::vector<uint8_t> reset;
    bool backwards = false;
    int64_t total = 0;

    Schedule(int64_t batch, int64_t steps, bool falling, double resets, Random& random) {
        for (int64_t t = 0; t < steps; t++) {
            rows.push_back(t == 0 || !falling ? batch : t + 2 >= steps ? 0 : rows.back() - random.below(rows.back() / 2 + 1));
            offset.push_back(total);
            total += rows.back();
        }
        for (int64_t i = 0; resets > 0 && i < total; i++) reset.push_back(fabs(random.real()) < resets);
    }
    int64_t batch() const { return rows[0]; }
    int64_t steps() const { return (int64_t)rows.size(); }
    int64_t at(int64_t t, int64_t r) const { return offset[t] + r; }
    bool is_reset(int64_t t, int64_t r) const { return !reset.empty() && reset[at(t, r)]; }
    int64_t length(int64_t r) const {
        return std::count_if(rows.begin(), rows.end(), [r](int64_t n) { return n > r; });
    }
};

void run_steps(const elman_step* step, const Schedule& schedule, int real_bytes, int precision, int threads,
               const elman_array* arrays, const elman_weight* weights, void* accumulators) {
    elman_run run{};
    run.real_bytes = real_bytes, run.precision = precision, run.backwards = schedule.backwards, run.threads = threads;
    run.steps = schedule.steps(), run.batch = schedule.batch();
    run.rows = schedule.rows.data(), run.offset = schedule.offset.data();
    run.reset = schedule.reset.empty() ? nullptr : schedule.reset.data();
    run.arrays = arrays, run.weights = weights, run.accumulators = accumulators;
    const Workspace workspace(elman_workspace(step, &run));
    run.workspace = workspace.data();
    elman_steps(step, &run);
}

class Step {
public:
    explicit Step(const Program& program) {
        const char* why = "";
        const auto code = program.code();
        step_ = elman_step_new(code.data(), (int64_t)code.size(), program.constants.data(), (int64_t)program.constants.size(), &why);
        if (step_) return;
        printf("a valid program is refused: %s\n", why);
        exit(1);
    }
    Step(const Step&) = delete;
    ~Step() { elman_step_free(step_); }
    const elman_step* get() const { return step_; }

private:
    elman_step* step_;
};

// Runs the same with one, two and three threads. All that was written, `outputs` gathers. Returns the first run's.
template <class Real>
std::vector<Real> same_for_all_threads(const char* what, const std::function<std::vector<Real>(int threads)>& outputs) {
    const std::vector<Real> first = outputs(1);
    for (int threads = 2; threads <= 3; threads++) {
        const std::vector<Real> others = outputs(threads);
        expect(same_bits(first, others), "%s: %d threads give other bits", what, threads);
    }
    return first;
}

// What was computed against what is right, relative to 1 + |right|; guards and padding are among it.
template <class Real>
void expect_close(const std::vector<Real>& given, const std::vector<double>& right, double tolerance, const char* what) {
    expect(given.size() == right.size(), "%s: %d numbers instead of %d", what, (int)given.size(), (int)right.size());
    for (size_t i = 0; i < std::min(given.size(), right.size()); i++)
        if (!(fabs((double)given[i] - right[i]) <= tolerance * (1 + fabs(right[i]))))
            return expect(false, "%s: number %d is %.9g, not %.9g", what, (int)i, (double)given[i], right[i]);
}

std::string describe(const char* name, int real_bytes, int precision, int width, const Schedule& s) {
    std::ostringstream text;
    text << name << ", real " << real_bytes << ", precision " << precision << ", width " << width << ", batch " << s.batch();
    text << ", rows";
    for (int64_t rows : s.rows) text << " " << rows;
    text << (s.reset.empty() ? "" : ", resets") << (s.backwards ? ", backwards" : "");
    return text.str();
}

}  // namespace
