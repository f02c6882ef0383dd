// Floats in the lanes of one vector register of the instruction set that this file is compiled for.
//
// Included only by solids_trace.h. Everything is in an unnamed namespace and always inlined, so that code for
// a wide instruction set is never picked by the linker for a processor without it.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define SWITCHYARD_INLINE [[gnu::always_inline]] inline

namespace switchyard::data {
namespace {

#if defined(__AVX512F__)
inline constexpr int kBlockWidth = 4, kBlockHeight = 4;
#elif defined(__AVX2__)
inline constexpr int kBlockWidth = 4, kBlockHeight = 2;
#else
inline constexpr int kBlockWidth = 2, kBlockHeight = 2;
#endif
inline constexpr int kLanes = kBlockWidth * kBlockHeight;  // one lane per pixel of a block

using Lanes = float __attribute__((vector_size(kLanes * 4)));
using Mask = std::int32_t __attribute__((vector_size(kLanes * 4)));  // 0 or -1 per lane

SWITCHYARD_INLINE Lanes splat(float value) { return value - Lanes{}; }

SWITCHYARD_INLINE Lanes square_root(Lanes a) {
#if defined(__AVX512F__)
  return (Lanes)_mm512_maskz_sqrt_ps(0xffff, (__m512)a);  // GCC 12 warns about the unmasked form
#elif defined(__AVX2__)
  return (Lanes)_mm256_sqrt_ps((__m256)a);
#else
  return (Lanes)_mm_sqrt_ps((__m128)a);
#endif
}

SWITCHYARD_INLINE bool any(Mask mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  return _mm_movemask_ps((__m128)mask) != 0;
#endif
}

SWITCHYARD_INLINE Lanes select(Mask mask, Lanes yes, Lanes no) { return mask ? yes : no; }
SWITCHYARD_INLINE Lanes min(Lanes a, Lanes b) { return a < b ? a : b; }
SWITCHYARD_INLINE Lanes max(Lanes a, Lanes b) { return a > b ? a : b; }
SWITCHYARD_INLINE Lanes min(Lanes a, float b) { return min(a, splat(b)); }
SWITCHYARD_INLINE Lanes max(Lanes a, float b) { return max(a, splat(b)); }
SWITCHYARD_INLINE Lanes clamp(Lanes a, float low, float high) { return min(max(a, low), high); }
SWITCHYARD_INLINE Lanes abs(Lanes a) { return (Lanes)((Mask)a & 0x7fffffff); }
SWITCHYARD_INLINE Lanes mix(Lanes a, Lanes b, Lanes share) { return a + (b - a) * share; }

// 0 below low, 1 above high, 3u^2 - 2u^3 between.
SWITCHYARD_INLINE Lanes smooth_step(float low, float high, Lanes a) {
  const Lanes u = clamp((a - low) * (1.0f / (high - low)), 0.0f, 1.0f);
  return u * u * (3.0f - 2.0f * u);
}

struct Vec3 {
  Lanes x, y, z;
};
SWITCHYARD_INLINE Vec3 splat3(const float (&v)[3]) { return {splat(v[0]), splat(v[1]), splat(v[2])}; }
SWITCHYARD_INLINE Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
SWITCHYARD_INLINE Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
SWITCHYARD_INLINE Vec3 operator*(Vec3 a, Vec3 b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }
SWITCHYARD_INLINE Vec3 operator*(Vec3 a, Lanes b) { return {a.x * b, a.y * b, a.z * b}; }
SWITCHYARD_INLINE Lanes dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
SWITCHYARD_INLINE Vec3 unit(Vec3 a) { return a * (1.0f / square_root(dot(a, a))); }
SWITCHYARD_INLINE Vec3 mix(Vec3 a, Vec3 b, Lanes share) { return a + (b - a) * share; }
SWITCHYARD_INLINE Vec3 select(Mask mask, Vec3 yes, Vec3 no) {
  return {select(mask, yes.x, no.x), select(mask, yes.y, no.y), select(mask, yes.z, no.z)};
}
SWITCHYARD_INLINE Vec3 to_world(const float (&m)[3][3], Vec3 v) {
  return {m[0][0] * v.x + m[0][1] * v.y + m[0][2] * v.z, m[1][0] * v.x + m[1][1] * v.y + m[1][2] * v.z,
          m[2][0] * v.x + m[2][1] * v.y + m[2][2] * v.z};
}
SWITCHYARD_INLINE Vec3 to_object(const float (&m)[3][3], Vec3 v) {
  return {m[0][0] * v.x + m[1][0] * v.y + m[2][0] * v.z, m[0][1] * v.x + m[1][1] * v.y + m[2][1] * v.z,
          m[0][2] * v.x + m[1][2] * v.y + m[2][2] * v.z};
}

}  // namespace
}  // namespace switchyard::data
