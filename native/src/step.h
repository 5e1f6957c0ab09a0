// A program, read and checked: see `elman_step_new` in elman.h for its form.
#pragma once
#include <stdint.h>

namespace elman {

// Plain arrays: kernels are compiled once per instruction set, and no template may be shared between them.
struct Operand {
    int32_t kind, index, column;
};

struct Instruction {
    int32_t op;
    Operand target, a, b;
};

struct Product {
    int32_t weight, array, column, inner, pieces, reg, bias, addend, addend_column;
};

// Columns of a sequence that a stage reads or writes, block by block.
struct Touch {
    int32_t array, column, write;
};

struct Stage {
    int32_t width;
    int32_t product_count, instruction_count, sum_count, touch_count;
    Product* products;
    Instruction* instructions;
    Touch* touches;
    int32_t* sums;  // row sums that are complete after this stage; of moments -1 less that of the mean
};

struct ArrayForm {
    int32_t kind, columns;
};

struct RowSum {
    int32_t array, column;
    int32_t epsilon;  // of moments: the constant that is added to the variance
};

}  // namespace elman

struct elman_step {
    int32_t array_count, registers, sum_count, accumulators, constant_count, stage_count;
    elman::ArrayForm* arrays;
    elman::RowSum* sums;
    double* constants;
    elman::Stage* stages;
};
