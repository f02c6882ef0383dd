// Operations of a whole warp, computed by the last lane to arrive, with the fragment layouts of the PTX ISA
// manual.
#include <bit>

#include "machine.h"

namespace switchyard::emulator {
namespace {

template <class Function>
void for_each_lane(unsigned mask, Function function) {
  for (unsigned left = mask; left; left &= left - 1) function(std::countr_zero(left));
}

float from_bf16(std::uint32_t bits) { return std::bit_cast<float>(bits << 16); }

}  // namespace

void warp_sync(Lane* const*, unsigned, std::size_t) {}

void warp_shuffle(Lane* const* lanes, unsigned mask, std::size_t size) {
  for_each_lane(mask, [&](int lane) {
    const long source = lanes[lane]->parameter;
    if (source < 0 || source > 31 || !(mask >> source & 1))
      fail("shuffle reads lane " + std::to_string(source) + ", which is not in the mask");
    if (size == 4)  // of fixed size: ThreadSanitizer would take a library call for an access of this lane
      __builtin_memcpy(lanes[lane]->out, lanes[source]->in, 4);
    else
      __builtin_memcpy(lanes[lane]->out, lanes[source]->in, 8);
  });
}

void warp_ballot(Lane* const* lanes, unsigned mask, std::size_t) {
  unsigned votes = 0;
  for_each_lane(mask, [&](int lane) { votes |= lanes[lane]->parameter ? 1U << lane : 0; });
  for_each_lane(mask, [&](int lane) { *static_cast<unsigned*>(lanes[lane]->out) = votes; });
}

// ldmatrix .m8n8.xN .b16: lane 8 q + i names row i of matrix q; lane l receives elements 2 (l % 4) and 2 (l %
// 4) + 1 of row l / 4 of each matrix.
template <int kMatrices>
void warp_load_matrices(Lane* const* lanes, unsigned, std::size_t) {
  for (int q = 0; q < kMatrices; ++q) {
    for (int lane = 0; lane < 32; ++lane) {
      const auto* row = static_cast<const std::uint16_t*>(lanes[8 * q + lane / 4]->in);
      __builtin_memcpy(static_cast<std::uint32_t*>(lanes[lane]->out) + q, row + 2 * (lane % 4), 4);
    }
  }
}
template void warp_load_matrices<2>(Lane* const*, unsigned, std::size_t);
template void warp_load_matrices<4>(Lane* const*, unsigned, std::size_t);

// ldmatrix .m8n8.x4 .trans .b16: lane l receives of each matrix the elements l / 4 of rows 2 (l % 4) and
// 2 (l % 4) + 1.
void warp_load_matrices_transposed(Lane* const* lanes, unsigned, std::size_t) {
  for (int q = 0; q < 4; ++q) {
    for (int lane = 0; lane < 32; ++lane) {
      std::uint16_t pair[2];
      for (int element = 0; element < 2; ++element) {
        const auto* row = static_cast<const std::uint16_t*>(lanes[8 * q + 2 * (lane % 4) + element]->in);
        __builtin_memcpy(pair + element, row + lane / 4, 2);
      }
      __builtin_memcpy(static_cast<std::uint32_t*>(lanes[lane]->out) + q, pair, 4);
    }
  }
}

// mma.m16n8k16 .row.col .f32.bf16.bf16.f32: d [16, 8] += a [16, 16] b [16, 8]. With group g = lane / 4 and
// column pair t = 2 (lane % 4):
//   a0: (g, t..t+1)   a1: (g + 8, t..)   a2: (g, t + 8..)   a3: (g + 8, t + 8..)
//   b0: (t..t+1, g)   b1: (t + 8.., g)   d0,d1: (g, t..t+1)   d2,d3: (g + 8, t..t+1)
void warp_mma_bf16_m16n8k16(Lane* const* lanes, unsigned, std::size_t) {
  float a[16][16], b[16][8], d[16][8];
  const auto half = [](std::uint32_t pair, int which) { return from_bf16(pair >> (16 * which) & 0xffff); };
  for (int lane = 0; lane < 32; ++lane) {
    const auto* in = static_cast<const std::uint32_t*>(lanes[lane]->in);  // a0 a1 a2 a3 b0 b1
    const auto* out = static_cast<const float*>(lanes[lane]->out);
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int element = 0; element < 2; ++element) {
      a[g][t + element] = half(in[0], element);
      a[g + 8][t + element] = half(in[1], element);
      a[g][t + 8 + element] = half(in[2], element);
      a[g + 8][t + 8 + element] = half(in[3], element);
      b[t + element][g] = half(in[4], element);
      b[t + 8 + element][g] = half(in[5], element);
      d[g][t + element] = out[element];
      d[g + 8][t + element] = out[2 + element];
    }
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) d[row][column] += a[row][k] * b[k][column];
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    auto* out = static_cast<float*>(lanes[lane]->out);
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int element = 0; element < 2; ++element) {
      out[element] = d[g][t + element];
      out[2 + element] = d[g + 8][t + element];
    }
  }
}

}  // namespace switchyard::emulator
