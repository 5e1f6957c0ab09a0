// What one instruction set offers: functions compiled for it, chosen at run time (dispatch.cpp).
#pragma once
#include "../include/elman.h"

namespace elman {

struct Variant {
    void (*steps)(const elman_step*, const elman_run*);
    int64_t (*workspace)(const elman_step*, const elman_run*);
    void (*multiply)(const elman_product*);
    void (*chunks)(const elman_chunks*, bool backwards);
    int64_t (*chunks_workspace)(const elman_chunks*, bool backwards);
};

struct Kernels {
    const char* name;
    Variant f32, f64;  // null pointers where they are those of `full`
    Variant bf16, bf16x3;  // null pointers where there are no such products
    int64_t (*product_workspace)(const elman_product*);
    // Whether, on this processor, products of that kind are right, and faster than full ones; null: nothing to ask.
    bool (*pays)();
    const Kernels* full;
};

extern const Kernels kernels_base;
#if defined(__x86_64__)
extern const Kernels kernels_avx2, kernels_avx512, kernels_avx512bf16, kernels_amx;
extern const Kernels kernels_amxmodel;  // in builds of the tests
#endif

}  // namespace elman
