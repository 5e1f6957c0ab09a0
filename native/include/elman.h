/* The core of elman: runs the step of a recurrent cell over time, forwards or backwards. Knows neither Python nor torch.

   Everything is plain C: no exceptions leave the library, no memory changes hands. The caller owns every array and gives a
   workspace; the library holds only its pool of threads. Pointers must stay valid during a call and no longer.

   real   float or double, the same throughout a call (`elman_run.real_bytes`, 4 or 8).
   row    one sequence at one step. Sequences are *packed*: step t has `rows[t]` rows, which stand one after the other from
          row `offset[t]` on; a step's row r continues row r of the step before, so `rows` never increases with t.
*/
#ifndef ELMAN_H
#define ELMAN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define ELMAN_API
#else
#define ELMAN_API __attribute__((visibility("default")))
#endif

/* ---- a step: the program of a cell --------------------------------------------------------------------------------

   A step is a list of stages. A stage is worked column block by column block: its products, then its instructions, each on
   a tile of rows and columns. What a stage needs of a whole row (the input of a product, the sum of a row) an earlier stage
   has made. `code` is a flat list of whole numbers:

     arrays, registers, row sums, accumulator columns, constants, stages          six counts
     kind, columns                                                                for each array, an `elman_array_kind`
     array, column                                                                for each row sum: where it is written
     for each stage:
       width, products, instructions
       weight, array, column, inner size, pieces, register, bias,
         addend, its column                                                       for each product
       op, then kind, index, column of the target and of two operands             for each instruction

   A product gives `pieces` registers from `register` on: piece p is columns p*width to (p+1)*width of  in Wᵀ + bias,  where
   `in` is `inner size` columns of `array` from `column` on. `bias` is 1 if the weight has one, else 0. If `addend` is not -1, piece p
   begins with columns p*width to (p+1)*width of that array, from `its column` on, instead of zero.
*/

typedef enum {
    ELMAN_SEQUENCE = 0, /* a row for each step and sequence */
    ELMAN_BEFORE = 1,   /* read only: the sequence's rows of the step before (in time); before the first, `initial` */
    ELMAN_CARRY_IN = 2, /* read only: what the step that ran before left in the carry; a row's first time, `initial` */
    ELMAN_CARRY_OUT = 3,/* what is carried on: belongs to the CARRY_IN array that stands right before it */
    ELMAN_SHARED = 4,   /* read only: one row for all, a parameter */
    ELMAN_ROWS = 5,     /* scratch: a row for each sequence, kept between the stages of a step */
    ELMAN_FIXED = 6     /* read only: a row for each sequence, the same at all steps */
} elman_array_kind;

typedef enum { ELMAN_NONE = 0, ELMAN_REGISTER = 1, ELMAN_ARRAY = 2, ELMAN_CONSTANT = 3, ELMAN_SUM = 4, ELMAN_NUMBER = 5 } elman_operand_kind;

/* d = f(a, b). A NUMBER is a register that holds one number a row instead of a tile. If d is one, a and b are numbers or
   constants; else ADD, SUB, MUL and DIV may have one for b. NUMBERS: d, a number, is a's column. SPREAD: the number a for every
   column of d. ROW_SUM: d is a row sum, that of a, or of a b if there is a b. ROW_MOMENTS: the row sum d is the mean of a, the one
   after it is 1 / √(variance + b), b a constant. NORMALISE: (a - m) s, for two columns m, s of the array b. D_NORMALISE, its
   derivative but for the factor s: a - (m + d s) / width, for what d was before, two columns m, s of the array b.
   ACCUMULATE: d's column of the accumulators gets the sum of a, or of a b if there is a b, over all rows and steps. D_*(a, b): a times the derivative
   of the function, b its value. AT_LEAST: 1 where a >= b, else 0. MAX and MIN give NaN where an operand is NaN. */
typedef enum {
    ELMAN_COPY, ELMAN_ADD, ELMAN_SUB, ELMAN_MUL, ELMAN_DIV, ELMAN_NEG, ELMAN_SIGMOID, ELMAN_TANH, ELMAN_RELU, ELMAN_EXP,
    ELMAN_SQRT, ELMAN_LOG, ELMAN_SOFTPLUS, ELMAN_MAX, ELMAN_MIN, ELMAN_AT_LEAST, ELMAN_D_SIGMOID, ELMAN_D_TANH, ELMAN_D_RELU,
    ELMAN_NORMALISE, ELMAN_D_NORMALISE, ELMAN_NUMBERS, ELMAN_SPREAD, ELMAN_ROW_SUM, ELMAN_ROW_MOMENTS, ELMAN_ACCUMULATE, ELMAN_OPS
} elman_op;

typedef struct elman_step elman_step;

/* Reads a program. NULL if it isn't one: then `*why` (never NULL) points to a constant sentence. Free with elman_step_free. */
ELMAN_API elman_step* elman_step_new(const int32_t* code, int64_t length, const double* constants, int64_t constant_count,
                                     const char** why);
ELMAN_API void elman_step_free(elman_step* step);

/* ---- running a step over time ------------------------------------------------------------------------------------- */

typedef struct {
    void* data;          /* real, first row; for CARRY_IN and CARRY_OUT unused */
    int64_t stride;      /* from one row to the next, in reals; 0 for SHARED */
    const void* initial; /* BEFORE, CARRY_IN: (rows[0], columns), contiguous; NULL is zero */
    const void* fresh;   /* BEFORE, CARRY_IN: the state after a reset (columns); NULL is zero */
    void* final;         /* CARRY_OUT: (rows[0], columns), written when a row has run its last step; may be NULL */
    void* cut;           /* CARRY_OUT, backwards: (columns), the sum of what resets cut off; may be NULL */
} elman_array;

typedef struct {
    const void* data;      /* real; element (n, k) at n * row_stride + k * column_stride */
    int64_t row_stride, column_stride;
    const void* bias;      /* real (pieces * width), or NULL */
} elman_weight;

typedef enum { ELMAN_FULL = 0, ELMAN_BF16 = 1, ELMAN_BF16X3 = 2 } elman_precision;

typedef struct {
    int32_t real_bytes, precision, backwards, threads;
    int64_t steps, batch;     /* batch: rows of the first step, the largest of `rows` */
    const int64_t* rows;      /* (steps) */
    const int64_t* offset;    /* (steps) */
    const uint8_t* reset;     /* a flag for each row of a sequence (packed), or NULL: BEFORE and CARRY_IN are fresh there
                                 forwards; backwards, BEFORE is fresh and CARRY_OUT is zero */
    const elman_array* arrays;
    const elman_weight* weights;
    void* accumulators;       /* real (accumulator columns), overwritten; may be NULL if there are none */
    void* workspace;          /* 64-byte aligned, elman_workspace() bytes; need not be cleared */
} elman_run;

/* Bytes of workspace that `elman_steps` needs; reads all of `run` but pointers to reals. */
ELMAN_API int64_t elman_workspace(const elman_step* step, const elman_run* run);

/* Runs the step over all steps in time: from the first to the last or, `backwards`, from the last to the first. Results do
   not depend on `threads`. No array that is written may overlap another. */
ELMAN_API void elman_steps(const elman_step* step, const elman_run* run);

/* ---- products over all steps at once ------------------------------------------------------------------------------ */

typedef struct {
    int32_t real_bytes, precision, threads, accumulate; /* accumulate: c += product instead of c = product */
    int64_t m, n, k;
    const void *a, *b, *bias;  /* a(i,l) at i*a_row + l*a_column;  b(l,j) at l*b_row + j*b_column;  bias (n) or NULL;
                                  not with accumulate */
    int64_t a_row, a_column, b_row, b_column, c_row;
    void* c;                   /* (m, n), rows c_row apart; overlaps nothing */
    void* workspace;           /* 64-byte aligned, elman_product_workspace() bytes */
} elman_product;

ELMAN_API int64_t elman_product_workspace(const elman_product* product);
/* c = a b + bias. The order of each sum is fixed: results do not depend on `threads`. */
ELMAN_API void elman_multiply(const elman_product* product);

/* ---- states that are matrices ---------------------------------------------------------------------------------------

   A matrix S (K keys, P values) for each sequence and each of A heads. It goes through a sequence in chunks of at most `chunk` steps, by
   products of matrices, and none crosses a reset. The order of each sum is fixed: results do not depend on `threads`.

   ELMAN_GATED_DELTANET. u holds of each step, in this order, q, k (A K each), v (A P), a, b (A each) and, with `option`, z (A P). Parameter: decay.
     q, k = K^-1/2 unit(silu(q)), unit(silu(k))      v = silu(v)      alpha = exp(decay softplus(a))      beta = sigmoid(b)
     S = alpha S + k (beta (v - alpha S^T k))^T      y = S^T q silu(z), or S^T q
   for unit(x) = x / sqrt(|x|^2 + 10^-6). The state is S of all heads.

   ELMAN_MLSTM. u holds q, k (A K each), v (A P), i, f (A each), o (A P). No parameters.
     k = K^-1/2 k      p = log sigmoid(f), or f with `option`      m' = max(p + m, i)      e = exp(p + m - m')      w = exp(i - m')
     S = e S + w k v^T      n = e n + w k      m = m'      y = sigmoid(o) S^T q / max(|n^T q|, exp(-m)), m within +-80
   The state is S of all heads, then n of all (A K), then m of all (A).

   ELMAN_MAMBA2. u holds, with `option`, z (A P), then x (A P), k, q (K each, for all heads), d (A). Parameters: decay, skip.
     q, k, x = silu(q), silu(k), silu(x)      D = softplus(d)      S = exp(decay D) S + D k x^T
     y = (S^T q + skip x) silu(z), or S^T q + skip x
   The state is S of all heads.
*/

typedef enum { ELMAN_GATED_DELTANET = 0, ELMAN_MLSTM = 1, ELMAN_MAMBA2 = 2, ELMAN_MATRIX_CELLS } elman_matrix_cell;

typedef struct {
    int32_t real_bytes, threads, cell, option;
    int64_t steps, batch, heads, keys, values, chunk;
    const void* u;          /* (steps, batch, columns) */
    const void* parameters; /* (how many, A): one number for each head; a decay is not above zero */
    const int64_t* lengths; /* (batch): how many steps are valid, 0 to steps; or NULL: all are */
    const uint8_t* reset;   /* (steps, batch): a flag where the state is `fresh` before the step, or NULL */
    const void* initial;    /* (batch, state) */
    const void* fresh;      /* (state), or NULL: zero */
    void* borders;          /* (batch, A, (steps - 1) / chunk, a head's state): states before chunks, or 0 where there is none. Forwards
                               written, or NULL; backwards read */
    void* y;                /* (steps, batch, A P), 0 beyond a length */
    void* last;             /* (batch, state) */
    /* Backwards alone. */
    const void* dy;         /* like y */
    const void* dlast;      /* like last, or NULL: zero */
    void* du;               /* like u, 0 beyond a length */
    void* dparameters;      /* like parameters */
    void* dinitial;         /* (batch, state) */
    void* dfresh;           /* (state), or NULL */
    int64_t* product_time;  /* the nanoseconds that all threads together were at products of matrices are added to it; or NULL */
    void* workspace;        /* 64-byte aligned, elman_chunks_workspace() bytes; need not be cleared */
} elman_chunks;

/* Reads no pointer but dfresh, and that only for whether it is NULL. */
ELMAN_API int64_t elman_chunks_workspace(const elman_chunks* chunks, int32_t backwards);
/* Writes borders, y and last. */
ELMAN_API void elman_chunks_forward(const elman_chunks* chunks);
/* Reads neither y nor last; writes du, dparameters, dinitial and dfresh. */
ELMAN_API void elman_chunks_backward(const elman_chunks* chunks);

/* ---- rows put in another order --------------------------------------------------------------------------------------- */

/* Row i of `to` (contiguous, row_bytes each) becomes row index[i] of `from` (rows from_bytes apart), or, if index[i] is negative, row
   -1 - index[i] of `others` (contiguous). `to` overlaps nothing. */
ELMAN_API void elman_gather(void* to, const void* from, int64_t from_bytes, const void* others, const int64_t* index, int64_t rows,
                            int64_t row_bytes, int32_t threads);

/* ---- the machine -------------------------------------------------------------------------------------------------- */

/* Name of the instruction set in use: "base" (on ARM, NEON), "avx2", "avx512", "avx512bf16" or "amx": the best that this machine has, the last
   two if their products in bf16 are faster here than those in fp32, which is measured once. ELMAN_ISA forces one. */
ELMAN_API const char* elman_isa(void);
/* Names of all that this machine has, with spaces between. */
ELMAN_API const char* elman_isas(void);
/* Uses another one: 0, or 1 if this machine doesn't have it. Not while a call runs. */
ELMAN_API int elman_use_isa(const char* name);
/* 1 if the instruction set in use has products in this precision, else 0 (they are then computed in full). */
ELMAN_API int elman_has_precision(int32_t precision);

#ifdef __cplusplus
}
#endif
#endif
