// Chooses the instruction set: by what the processor says it has (never by what the machine of the build had), or by ELMAN_ISA.
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "kernels.h"

namespace {

using elman::Kernels;
using elman::Variant;

struct Choice {
    const Kernels* kernels;
    bool present;
};

// From the plainest to the best.
#if defined(__x86_64__)
const Choice* choices(int* count) {
    __builtin_cpu_init();
    static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    static const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    static const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    static const Choice all[] = {
        {&elman::kernels_base, true}, {&elman::kernels_avx2, avx2}, {&elman::kernels_avx512, avx512}, {&elman::kernels_avx512bf16, bf16}};
    *count = 4;
    return all;
}
#else
const Choice* choices(int* count) {
    static const Choice all[] = {{&elman::kernels_base, true}};
    *count = 1;
    return all;
}
#endif

std::atomic<const Kernels*> chosen{nullptr};

const Kernels* find(const char* name) {
    int count;
    const Choice* all = choices(&count);
    for (int i = 0; i < count; i++)
        if (all[i].present && !strcmp(all[i].kernels->name, name)) return all[i].kernels;
    return nullptr;
}

const Kernels& kernels() {
    const Kernels* now = chosen.load(std::memory_order_acquire);
    if (now) return *now;
    const char* wanted = getenv("ELMAN_ISA");
    now = wanted && *wanted ? find(wanted) : nullptr;
    if (!now) {
        int count;
        const Choice* all = choices(&count);
        for (int i = 0; i < count; i++)
            if (all[i].present) now = all[i].kernels;
    }
    chosen.store(now, std::memory_order_release);
    return *now;
}

const Variant& variant(int32_t real_bytes, int32_t precision) {
    const Kernels& k = kernels();
    if (real_bytes == 8) return k.f64;
    return precision == ELMAN_BF16 && k.bf16.steps ? k.bf16 : k.f32;
}

}  // namespace

int64_t elman_workspace(const elman_step* step, const elman_run* run) {
    return variant(run->real_bytes, run->precision).workspace(step, run);
}

void elman_steps(const elman_step* step, const elman_run* run) { variant(run->real_bytes, run->precision).steps(step, run); }

int64_t elman_product_workspace(const elman_product* p) { return kernels().product_workspace(p); }

void elman_multiply(const elman_product* p) { variant(p->real_bytes, p->precision).multiply(p); }

int64_t elman_chunks_workspace(const elman_chunks* d, int32_t backwards) {
    return variant(d->real_bytes, ELMAN_FULL).chunks_workspace(d, backwards != 0);
}

void elman_chunks_forward(const elman_chunks* d) { variant(d->real_bytes, ELMAN_FULL).chunks(d, false); }

void elman_chunks_backward(const elman_chunks* d) { variant(d->real_bytes, ELMAN_FULL).chunks(d, true); }

const char* elman_isa(void) { return kernels().name; }

const char* elman_isas(void) {
    static char names[64];
    static const bool written = [] {
        int count;
        const Choice* all = choices(&count);
        for (int i = 0; i < count; i++)
            if (all[i].present) strcat(strcat(names, i ? " " : ""), all[i].kernels->name);
        return true;
    }();
    (void)written;
    return names;
}

int elman_use_isa(const char* name) {
    const Kernels* wanted = find(name);
    if (!wanted) return 1;
    chosen.store(wanted, std::memory_order_release);
    return 0;
}

int elman_has_precision(int32_t precision) {
    return precision == ELMAN_FULL || (precision == ELMAN_BF16 && kernels().bf16.steps != nullptr);
}
