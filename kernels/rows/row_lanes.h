// Sixteen floats in lanes, whatever the width of the registers that this file is compiled for.
//
// Included only by row_loops_body.h. Everything is in an unnamed namespace and always inlined, so that code
// for a wide instruction set is never picked by the linker for a processor without it.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/rows/row_loops.h"

#define SWITCHYARD_INLINE [[gnu::always_inline]] inline

namespace switchyard::kernels {
namespace {

inline constexpr int64_t kLanes = 16;

using Lanes = float __attribute__((vector_size(kLanes * 4)));
using Bits = uint32_t __attribute__((vector_size(kLanes * 4)));
using Ints = int32_t __attribute__((vector_size(kLanes * 4)));
using Bytes = uint8_t __attribute__((vector_size(kLanes)));
using Halves = uint16_t __attribute__((vector_size(kLanes * 2)));

SWITCHYARD_INLINE Lanes splat(float value) { return value - Lanes{}; }

SWITCHYARD_INLINE Lanes widen(Halves halves) { return (Lanes)(__builtin_convertvector(halves, Bits) << 16); }

// Round to nearest, ties to even; not-a-number stays that.
SWITCHYARD_INLINE Halves narrow(Lanes a) {
  const Bits bits = (Bits)a;
  const Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Bits kept = (a == a) ? rounded : (bits >> 16) | 0x40;
  return __builtin_convertvector(kept, Halves);
}

// The lanes of p[0 .. n - 1], n <= kLanes; zero above.
SWITCHYARD_INLINE Lanes load(const float* p, int64_t n = kLanes) {
  Lanes a{};
  if (n == kLanes) {
    std::memcpy(&a, p, sizeof a);
  } else {
    std::memcpy(&a, p, static_cast<size_t>(n) * sizeof(float));
  }
  return a;
}
SWITCHYARD_INLINE Lanes load(const Bf16* p, int64_t n = kLanes) {
  Halves a{};
  if (n == kLanes) {
    std::memcpy(&a, p, sizeof a);
  } else {
    std::memcpy(&a, p, static_cast<size_t>(n) * sizeof(Bf16));
  }
  return widen(a);
}

SWITCHYARD_INLINE void store(float* p, Lanes a, int64_t n = kLanes) {
  if (n == kLanes) {
    std::memcpy(p, &a, sizeof a);
  } else {
    std::memcpy(p, &a, static_cast<size_t>(n) * sizeof(float));
  }
}
SWITCHYARD_INLINE void store(Bf16* p, Lanes a, int64_t n = kLanes) {
  const Halves halves = narrow(a);
  if (n == kLanes) {
    std::memcpy(p, &halves, sizeof halves);
  } else {
    std::memcpy(p, &halves, static_cast<size_t>(n) * sizeof(Bf16));
  }
}

// The first n lanes; zero above.
SWITCHYARD_INLINE Lanes keep_first(Lanes a, int64_t n) {
  constexpr Ints kLane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return n == kLanes ? a : (kLane < static_cast<int32_t>(n) ? a : Lanes{});
}

SWITCHYARD_INLINE float sum(Lanes a) {
  float total = 0;
  for (int64_t i = 0; i < kLanes; ++i) total += a[i];
  return total;
}

SWITCHYARD_INLINE Lanes magnitude(Lanes a) { return (Lanes)((Bits)a & 0x7fffffff); }

// Of each lane; not-a-number where one of the two is.
SWITCHYARD_INLINE Lanes larger(Lanes a, Lanes b) {
  const Lanes most = b > a ? b : a;
  return b == b ? most : b;
}

SWITCHYARD_INLINE float maximum(Lanes a) {
  float most = a[0];
  for (int64_t i = 1; i < kLanes; ++i) most = a[i] > most || a[i] != a[i] ? a[i] : most;
  return most;
}

// 1.5 * 2^23: adding and subtracting it rounds to an integer, ties to even.
inline constexpr float kRound = 12582912.0f;

// 128 + round(a), |a| <= 127.5; what is not a number becomes 128.
SWITCHYARD_INLINE void store_offset_128(uint8_t* p, Lanes a, int64_t n = kLanes) {
  const Lanes rounded = ((a == a ? a : Lanes{}) + kRound) - kRound;
  const Bytes bytes = __builtin_convertvector(__builtin_convertvector(rounded, Ints) + 128, Bytes);
  if (n == kLanes) {
    std::memcpy(p, &bytes, sizeof bytes);
  } else {
    std::memcpy(p, &bytes, static_cast<size_t>(n));
  }
}

// e^a to 2e-7 relative for |a| <= 87, clamped there: 2^n e^r with |r| <= ln(2) / 2 and a Taylor polynomial.
SWITCHYARD_INLINE Lanes exponential(Lanes a) {
  a = a < -87.0f ? splat(-87.0f) : a;
  a = a > 87.0f ? splat(87.0f) : a;
  const Lanes n = (a * 1.44269504f + kRound) - kRound;
  const Lanes r = (a - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts: n * 0.693359375 is exact
  Lanes p = splat(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
  return p * (Lanes)power;
}

SWITCHYARD_INLINE Lanes sigmoid(Lanes a) { return 1.0f / (1.0f + exponential(-a)); }

/// Calls each(offset, lanes) for 0, 16, ... of `width`; `lanes` is 16 but for a rest.
template <class Each>
SWITCHYARD_INLINE void for_lanes(int64_t width, const Each& each) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) each(i, kLanes);
  if (i < width) each(i, width - i);
}

}  // namespace
}  // namespace switchyard::kernels
