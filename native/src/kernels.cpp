// Compiled once per instruction set, with ELMAN_KERNELS (the name), ELMAN_BYTES (of a vector) and ELMAN_REGISTERS.
#include "kernels.h"

#include <time.h>

#if defined(ELMAN_HAS_TILES)
#include "tiles.h"
#elif defined(ELMAN_HAS_BF16)
#include "bf16.h"
#endif
#if !defined(ELMAN_HAS_TILES)
#include "chunks.h"
#endif
#include "product.h"
#include "sequence.h"

#define ELMAN_TEXT_OF(x) #x
#define ELMAN_TEXT(x) ELMAN_TEXT_OF(x)
#define ELMAN_JOIN_OF(a, b) a##b
#define ELMAN_JOIN(a, b) ELMAN_JOIN_OF(a, b)

namespace {

int64_t product_workspace(const elman_product* p) {
    const int64_t f32 = product_bytes_per_thread<float>(), f64 = product_bytes_per_thread<double>();
    return p->threads * (f32 > f64 ? f32 : f64);
}

#if defined(ELMAN_HAS_BF16)
// A small product, and how long it takes at best.
template <class Kind>
double seconds_of_product(float* c) {
    constexpr int64_t INNER = 256;
    static const auto element = [](int64_t i, int64_t j) { return (float)((i * 7 + j * 3) % 11 - 5); };
    alignas(64) float a[TILE * INNER], b[INNER * BLOCK<float>], panel[INNER * BLOCK<float>];
    typename Kind::Left left[TILE * INNER];
    for (int64_t m = 0; m < TILE; m++)
        for (int64_t k = 0; k < INNER; k++) a[m * INNER + k] = element(m, k);
    for (int64_t k = 0; k < INNER; k++)
        for (int64_t n = 0; n < BLOCK<float>; n++) b[k * BLOCK<float> + n] = element(k, n);
    Kind::pack(panel, b, BLOCK<float>, 1, INNER, BLOCK<float>);
    int64_t row, column;
    const auto* rows = Kind::left(a, INNER, 1, TILE, INNER, left, &row, &column);
    [[maybe_unused]] const typename Kind::Session session;
    double best = 1;
    for (int turn = 0; turn < 20; turn++) {
        timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (int again = 0; again < 4; again++)
            Kind::multiply(TILE, rows, row, column, panel, INNER, ZERO, nullptr, nullptr, 0, c, BLOCK<float>);
        clock_gettime(CLOCK_MONOTONIC, &end);
        const double seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
        best = seconds < best ? seconds : best;
    }
    return best;
}

// Some processors have products of bf16 that are slower than those of fp32: these must be clearly faster. The numbers of this product
// are whole and small, so that all kinds have the same result.
template <class Kind>
bool pays() {
    alignas(64) float full[TILE * BLOCK<float>], other[TILE * BLOCK<float>];
    const double seconds = seconds_of_product<Full<float>>(full);
    return 1.1 * seconds_of_product<Kind>(other) < seconds && !memcmp(full, other, sizeof full);
}
#endif

}  // namespace

const elman::Kernels elman::ELMAN_JOIN(kernels_, ELMAN_KERNELS) = {
    ELMAN_TEXT(ELMAN_KERNELS),
#if defined(ELMAN_HAS_TILES)
    // Products that are no tiles' gain nothing from sixteen rows at a time.
    {},
    {},
    {run_steps<Parts<1>>, run_workspace<Parts<1>>, multiply<Parts<1>>, nullptr, nullptr},
    {run_steps<Parts<2>>, run_workspace<Parts<2>>, multiply<Parts<2>>, nullptr, nullptr},
    product_workspace,
    pays<Parts<1>>,
    &elman::kernels_avx512bf16,
#else
    {run_steps<Full<float>>, run_workspace<Full<float>>, multiply<Full<float>>, run_chunks<float>, chunks_workspace<float>},
    {run_steps<Full<double>>, run_workspace<Full<double>>, multiply<Full<double>>, run_chunks<double>, chunks_workspace<double>},
#if defined(ELMAN_HAS_BF16)
    {run_steps<Pairs>, run_workspace<Pairs>, multiply<Pairs>, nullptr, nullptr},
    {},
    product_workspace,
    pays<Pairs>,
#else
    {},
    {},
    product_workspace,
    nullptr,
#endif
    nullptr,
#endif
};
