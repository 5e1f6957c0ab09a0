// Compiled once per instruction set, with ELMAN_KERNELS (the name), ELMAN_BYTES (of a vector) and ELMAN_REGISTERS.
#include "kernels.h"

#include "chunks.h"
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

}  // namespace

const elman::Kernels elman::ELMAN_JOIN(kernels_, ELMAN_KERNELS) = {
    ELMAN_TEXT(ELMAN_KERNELS),
    {run_steps<Full<float>>, run_workspace<Full<float>>, multiply<Full<float>>, run_chunks<float>, chunks_workspace<float>},
    {run_steps<Full<double>>, run_workspace<Full<double>>, multiply<Full<double>>, run_chunks<double>, chunks_workspace<double>},
#if defined(ELMAN_HAS_BF16)
    {run_steps<Pairs>, run_workspace<Pairs>, multiply<Pairs>, run_chunks<float>, chunks_workspace<float>},
#else
    {nullptr, nullptr, nullptr, nullptr, nullptr},
#endif
    product_workspace,
};
