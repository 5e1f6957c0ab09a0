// Chooses the instruction set: by what the processor says it has (never by what the machine of the build had) and, for products
// of bf16, by whether they are faster there; or by ELMAN_ISA.
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <atomic>

#include "kernels.h"

namespace {

using elman::Kernels;
using elman::Variant;

struct Choice {
    const Kernels* kernels;
    bool present;
};

#if defined(__x86_64__)
// Whether there are tiles and products of bf16 of them, the system saves them with a thread, and lets this process have them.
bool may_use_tiles() {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 24 & 1) || !(d >> 22 & 1)) return false;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return false;
    unsigned saved, high;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved >> 17 & 3) != 3) return false;
#if defined(__linux__)
    constexpr long ASK_FOR = 0x1023, TILES = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, ASK_FOR, TILES) == 0;
#else
    return false;
#endif
}

// From the plainest to the best.
const Choice* choices(int* count) {
    __builtin_cpu_init();
    static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    static const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    static const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16"), tiles = bf16 && may_use_tiles();
    static const Choice all[] = {
        {&elman::kernels_base, true}, {&elman::kernels_avx2, avx2}, {&elman::kernels_avx512, avx512}, {&elman::kernels_avx512bf16, bf16},
#if defined(ELMAN_TESTS)
        {&elman::kernels_amxmodel, bf16},
#endif
        {&elman::kernels_amx, tiles}};
    *count = sizeof all / sizeof *all;
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
            if (all[i].present && (!all[i].kernels->pays || all[i].kernels->pays())) now = all[i].kernels;
    }
    chosen.store(now, std::memory_order_release);
    return *now;
}

const Variant& variant(int32_t real_bytes, int32_t precision) {
    const Kernels& k = kernels();
    const Kernels& full = k.full ? *k.full : k;
    if (real_bytes == 8) return full.f64;
    if (precision == ELMAN_BF16 && k.bf16.steps) return k.bf16;
    return precision == ELMAN_BF16X3 && k.bf16x3.steps ? k.bf16x3 : full.f32;
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
    const Kernels& k = kernels();
    return precision == ELMAN_FULL || (precision == ELMAN_BF16 && k.bf16.steps) || (precision == ELMAN_BF16X3 && k.bf16x3.steps);
}
