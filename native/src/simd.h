// Vectors of the instruction set that this file is compiled for: ELMAN_BYTES wide, by the compiler's vector extensions.
// Everything is in an unnamed namespace: no function of one instruction set can be linked into another's code.
#pragma once
#include <stdint.h>
#include <string.h>

namespace {

typedef float f32v __attribute__((vector_size(ELMAN_BYTES)));
typedef double f64v __attribute__((vector_size(ELMAN_BYTES)));
typedef int32_t i32v __attribute__((vector_size(ELMAN_BYTES)));
typedef int64_t i64v __attribute__((vector_size(ELMAN_BYTES)));

template <class Real>
struct Simd;
template <>
struct Simd<float> {
    typedef f32v V;
    typedef i32v I;
    typedef int32_t Int;
};
template <>
struct Simd<double> {
    typedef f64v V;
    typedef i64v I;
    typedef int64_t Int;
};

template <class Real>
constexpr int LANES = ELMAN_BYTES / sizeof(Real);
// Columns of a block: two vectors.
template <class Real>
constexpr int BLOCK = 2 * LANES<Real>;

// Rows of a tile, and of it those that one pass of the micro-kernel takes: two accumulators a row in 32 or in 16 registers.
#if !defined(ELMAN_TILE)
#define ELMAN_TILE 8
#endif
constexpr int TILE = ELMAN_TILE;
constexpr int MICRO = ELMAN_REGISTERS >= 32 ? 8 : 4;

template <class Real>
inline typename Simd<Real>::V load(const Real* p) {
    typename Simd<Real>::V v;
    memcpy(&v, p, sizeof v);
    return v;
}

template <class Real>
inline void store(Real* p, typename Simd<Real>::V v) {
    memcpy(p, &v, sizeof v);
}

template <class Real>
inline typename Simd<Real>::V broadcast(Real x) {
    return x - typename Simd<Real>::V{};
}

}  // namespace
