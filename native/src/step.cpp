// Reads a program and checks that no operand lies outside of what is declared: a program may come out of a file.
#include "step.h"

#include <stdlib.h>

#include "../include/elman.h"

namespace {

using namespace elman;

class Reader {
public:
    Reader(const int32_t* code, int64_t length) : at_(code), end_(code + length) {}

    int32_t number() {
        if (at_ == end_) {
            fail("the program ends in the middle");
            return 0;
        }
        return *at_++;
    }

    // A whole number of at least `least`; counts are kept small, so that a damaged program can't ask for all memory.
    int32_t number(int32_t least, const char* what) {
        const int32_t value = number();
        if (value < least || value > (1 << 20)) fail(what);
        return why ? least : value;
    }

    void fail(const char* what) {
        if (!why) why = what;
    }

    bool at_end() const { return at_ == end_; }

    const char* why = nullptr;

private:
    const int32_t *at_, *end_;
};

bool within(int32_t index, int32_t count) { return index >= 0 && index < count; }

// Of a product; and products, and instructions, of a stage: far more than any cell has, and little enough to look at each beside each.
constexpr int32_t MOST_PIECES = 1 << 10, MOST_PRODUCTS = 1 << 6, MOST_INSTRUCTIONS = 1 << 12;

void check_columns(Reader& in, const elman_step& step, int32_t array, int32_t column, int64_t columns) {
    if (!within(array, step.array_count)) in.fail("an operand names an array that is not declared");
    else if (column < 0 || column > step.arrays[array].columns - columns) in.fail("an operand lies beyond its array's columns");
}

Operand operand(Reader& in) {
    Operand o;
    o.kind = in.number();
    o.index = in.number();
    o.column = in.number();
    return o;
}

void check_source(Reader& in, const elman_step& step, const Operand& o, int32_t width) {
    if ((o.kind == ELMAN_REGISTER || o.kind == ELMAN_NUMBER) && within(o.index, step.registers)) return;
    if (o.kind == ELMAN_CONSTANT && within(o.index, step.constant_count)) return;
    if (o.kind == ELMAN_ARRAY) return check_columns(in, step, o.index, o.column, width);
    in.fail("an operand is of no known kind or not declared");
}

void check_writable(Reader& in, const elman_step& step, int32_t array) {
    if (in.why) return;
    const int32_t kind = step.arrays[array].kind;
    if (kind == ELMAN_BEFORE || kind == ELMAN_CARRY_IN || kind == ELMAN_SHARED || kind == ELMAN_FIXED) in.fail("a target is an array that is read only");
}

void check_target(Reader& in, const elman_step& step, const Operand& o, int32_t width) {
    if ((o.kind == ELMAN_REGISTER || o.kind == ELMAN_NUMBER) && within(o.index, step.registers)) return;
    if (o.kind != ELMAN_ARRAY) return in.fail("a target is neither a register nor an array");
    check_columns(in, step, o.index, o.column, width);
    check_writable(in, step, o.index);
}

bool takes_two(int32_t op) {
    switch (op) {
        case ELMAN_ADD: case ELMAN_SUB: case ELMAN_MUL: case ELMAN_DIV: case ELMAN_MAX: case ELMAN_MIN: case ELMAN_AT_LEAST:
        case ELMAN_D_SIGMOID: case ELMAN_D_TANH: case ELMAN_D_RELU: case ELMAN_ROW_MOMENTS:
            return true;
        default:
            return false;
    }
}

// What is worked on is all tiles or all numbers; a constant is both, and some operations take a number with a tile.
bool numbers_fit(const Instruction& i) {
    const bool number = i.target.kind == ELMAN_NUMBER, mixed = i.op == ELMAN_ADD || i.op == ELMAN_SUB || i.op == ELMAN_MUL || i.op == ELMAN_DIV;
    const auto fits = [&](const Operand& o) { return o.kind == ELMAN_NONE || o.kind == ELMAN_CONSTANT || (o.kind == ELMAN_NUMBER) == number; };
    return fits(i.a) && (fits(i.b) || (mixed && i.b.kind == ELMAN_NUMBER));
}

Instruction instruction(Reader& in, elman_step& step, Stage& stage) {
    Instruction i;
    i.op = in.number(0, "an operation is not known");
    i.target = operand(in), i.a = operand(in), i.b = operand(in);
    if (i.op >= ELMAN_OPS) in.fail("an operation is not known");
    if (in.why) return i;
    check_source(in, step, i.a, i.op == ELMAN_NUMBERS ? 1 : stage.width);
    if (!takes_two(i.op) && i.b.kind != ELMAN_NONE) in.fail("an operation of one operand has two");
    if (i.op != ELMAN_SPREAD && i.op != ELMAN_NUMBERS && !numbers_fit(i)) in.fail("numbers and tiles are mixed");
    if (i.op == ELMAN_ROW_SUM || i.op == ELMAN_ROW_MOMENTS) {
        const bool moments = i.op == ELMAN_ROW_MOMENTS;
        if (moments && i.b.kind != ELMAN_CONSTANT) in.fail("moments have no constant to add");
        if (i.target.kind != ELMAN_SUM || i.target.index < 0 || i.target.index >= step.sum_count - moments) in.fail("a row sum is not declared");
        else stage.sums[stage.sum_count++] = moments ? -1 - i.target.index : i.target.index;
        if (moments && !in.why) step.sums[i.target.index].epsilon = i.b.index;
    } else if (i.op == ELMAN_ACCUMULATE) {
        if (i.target.kind != ELMAN_NONE || i.target.column < 0 || i.target.column > step.accumulators - stage.width) in.fail("an accumulator is not declared");
    } else {
        check_target(in, step, i.target, stage.width);
        if (i.op == ELMAN_NUMBERS && (i.a.kind != ELMAN_ARRAY || i.target.kind != ELMAN_NUMBER)) in.fail("numbers are a column of an array");
        else if (i.op == ELMAN_SPREAD && (i.a.kind != ELMAN_NUMBER || i.target.kind == ELMAN_NUMBER)) in.fail("only a number can be spread");
        else if (takes_two(i.op)) check_source(in, step, i.b, stage.width);
    }
    return i;
}

Product product(Reader& in, elman_step& step, int32_t width) {
    Product p;
    p.weight = in.number(0, "a weight has no number");
    p.array = in.number(0, "a product has no input");
    p.column = in.number(0, "a product has no input");
    p.inner = in.number(1, "a product has no inner size");
    p.pieces = in.number(1, "a product has no pieces");
    if (p.pieces > MOST_PIECES) in.fail("a product has too many pieces");
    p.reg = in.number(0, "a product has no target");
    p.bias = in.number(0, "a product's bias is neither 0 nor 1");
    p.addend = in.number();
    p.addend_column = in.number(0, "an addend lies beyond its array's columns");
    if (in.why) return p;
    if (p.addend != -1) check_columns(in, step, p.addend, p.addend_column, (int64_t)p.pieces * width);
    if (p.reg > step.registers - p.pieces) in.fail("a product's registers are not declared");
    check_columns(in, step, p.array, p.column, p.inner);
    return p;
}

// Cleared, so that a program that breaks off can be freed.
template <class T>
T* array_of(Reader& in, int64_t count) {
    T* array = (T*)calloc(count > 0 ? count : 1, sizeof(T));
    if (!array) in.fail("there is no memory left");
    return array;
}

void touch(const elman_step& step, Stage& stage, const Operand& o, bool write) {
    if (o.kind != ELMAN_ARRAY || (step.arrays[o.index].kind != ELMAN_SEQUENCE && step.arrays[o.index].kind != ELMAN_BEFORE)) return;
    for (int32_t i = 0; i < stage.touch_count; i++)
        if (stage.touches[i].array == o.index && stage.touches[i].column == o.column) return;
    stage.touches[stage.touch_count++] = {o.index, o.column, write};
}

Stage stage(Reader& in, elman_step& step) {
    Stage stage{};
    stage.width = in.number(1, "a stage has no width");
    stage.product_count = in.number(0, "a count is negative");
    stage.instruction_count = in.number(0, "a count is negative");
    if (stage.product_count > MOST_PRODUCTS || stage.instruction_count > MOST_INSTRUCTIONS) in.fail("a stage is too long");
    if (in.why) stage.product_count = stage.instruction_count = 0;
    stage.products = array_of<Product>(in, stage.product_count);
    for (int32_t i = 0; i < stage.product_count && !in.why; i++) stage.products[i] = product(in, step, stage.width);
    stage.instructions = array_of<Instruction>(in, stage.instruction_count);
    stage.sums = array_of<int32_t>(in, stage.instruction_count);
    int64_t pieces = 0;
    for (int32_t i = 0; i < stage.product_count && !in.why; i++) pieces += stage.products[i].addend >= 0 ? stage.products[i].pieces : 0;
    stage.touches = array_of<Touch>(in, pieces + 3 * stage.instruction_count);
    for (int32_t i = 0; i < stage.instruction_count && !in.why; i++) stage.instructions[i] = instruction(in, step, stage);
    for (int32_t i = 0; i < stage.product_count && !in.why; i++)
        for (int32_t piece = 0; stage.products[i].addend >= 0 && piece < stage.products[i].pieces; piece++)
            touch(step, stage, {ELMAN_ARRAY, stage.products[i].addend, stage.products[i].addend_column + piece * stage.width}, false);
    for (int32_t i = 0; i < stage.instruction_count && !in.why; i++) {
        const Instruction& done = stage.instructions[i];
        if (done.op == ELMAN_NUMBERS) continue;
        touch(step, stage, done.a, false);
        if (takes_two(done.op)) touch(step, stage, done.b, false);
        touch(step, stage, done.target, true);
    }
    return stage;
}

void read(Reader& in, elman_step& step, const double* constants, int64_t constant_count) {
    int32_t count[6];
    for (int32_t& c : count) c = in.number(0, "a count is negative");
    if (count[4] != constant_count) in.fail("the program has another number of constants");
    if (in.why) return;
    step.array_count = count[0], step.registers = count[1], step.sum_count = count[2], step.accumulators = count[3];
    step.constant_count = count[4], step.stage_count = count[5];
    step.arrays = array_of<ArrayForm>(in, count[0]);
    step.sums = array_of<RowSum>(in, count[2]);
    step.constants = array_of<double>(in, count[4]);
    step.stages = array_of<Stage>(in, count[5]);
    for (int32_t i = 0; i < step.constant_count && !in.why; i++) step.constants[i] = constants[i];
    for (int32_t i = 0; i < step.array_count && !in.why; i++) {
        const int32_t kind = in.number(0, "an array is of no known kind"), columns = in.number(1, "an array has no columns");
        if (kind > ELMAN_FIXED) in.fail("an array is of no known kind");
        if (kind == ELMAN_CARRY_OUT && (i == 0 || step.arrays[i - 1].kind != ELMAN_CARRY_IN)) in.fail("a carry has no beginning");
        if (i > 0 && step.arrays[i - 1].kind == ELMAN_CARRY_IN && kind != ELMAN_CARRY_OUT) in.fail("a carry has no end");
        step.arrays[i] = {kind, columns};
    }
    if (step.array_count && step.arrays[step.array_count - 1].kind == ELMAN_CARRY_IN) in.fail("a carry has no end");
    for (int32_t i = 0; i < step.sum_count && !in.why; i++) {
        step.sums[i].array = in.number();
        step.sums[i].column = in.number();
        check_columns(in, step, step.sums[i].array, step.sums[i].column, 1);
        check_writable(in, step, step.sums[i].array);
    }
    for (int32_t s = 0; s < step.stage_count && !in.why; s++) step.stages[s] = stage(in, step);
    if (!in.at_end()) in.fail("numbers follow the program's end");
}

}  // namespace

elman_step* elman_step_new(const int32_t* code, int64_t length, const double* constants, int64_t constant_count, const char** why) {
    Reader in(code, length);
    auto* step = (elman_step*)calloc(1, sizeof(elman_step));
    if (!step) {
        *why = "there is no memory left";
        return nullptr;
    }
    read(in, *step, constants, constant_count);
    if (!in.why) return step;
    *why = in.why;
    elman_step_free(step);
    return nullptr;
}

void elman_step_free(elman_step* step) {
    if (!step) return;
    for (int32_t s = 0; step->stages && s < step->stage_count; s++) {
        free(step->stages[s].products);
        free(step->stages[s].instructions);
        free(step->stages[s].sums);
        free(step->stages[s].touches);
    }
    free(step->arrays);
    free(step->sums);
    free(step->constants);
    free(step->stages);
    free(step);
}
