// The product of one block, bf16 with fp32 sums: 128 left by 128 right lines over an inner dimension of any
// length, in steps of 32; three steps' operands are in shared memory at once, copied there asynchronously.
// Its eight warps, 2 x 4, each hold 64 x 32 sums in registers.
//
// An operand, [128 lines, inner], lies in memory in one of two ways: AlongInner, each line is contiguous
// (both operands of x W^T), or AcrossInner, the lines are neighbours at each place of the inner dimension (W
// in dY W, both operands of dY^T X). A function says where: the address of a line, or of a place's first
// line.
#pragma once

#include "kernels/cuda/device.h"

namespace switchyard::kernels::cuda {

inline constexpr int kTileThreads = 256;
inline constexpr int kTile = 128;  // lines
inline constexpr int kTileDepth = 32, kTileStages = 3;
inline constexpr int kWarpRows = 64, kWarpColumns = 32;

// Lines in shared memory are padded: ldmatrix then meets no bank twice.
inline constexpr int kAlongPitch = kTileDepth + 8, kAlongElements = kTile * kAlongPitch;
inline constexpr int kAcrossPitch = kTile + 8, kAcrossElements = kTileDepth * kAcrossPitch;

/// Of dynamic shared memory, for operands of kAlongElements or kAcrossElements.
inline constexpr std::size_t tile_shared_bytes(int left_elements, int right_elements) {
  return sizeof(bf16) * kTileStages * static_cast<std::size_t>(left_elements + right_elements);
}

/// The sums of a lane l: rows l / 4 (elements 0, 1) and l / 4 + 8 (elements 2, 3), columns 2 (l % 4) and the
/// next, of each 16 x 8 tile [i][j] of its warp.
using TileSums = float[kWarpRows / 16][kWarpColumns / 8][4];

__device__ __forceinline__ int warp_row() { return warp() / 4 * kWarpRows; }
__device__ __forceinline__ int warp_column() { return warp() % 4 * kWarpColumns; }

/// Two neighbouring elements of a row.
struct alignas(4) Pair {
  bf16 first, second;
};

// Of either operand each thread copies two pieces of 8 elements per step; where there is nothing to copy it
// writes zeros, and `readable` is any address in global memory.
class AlongInner {
 public:
  static constexpr int kElements = kAlongElements;

  /// line_at(line) for 0 .. 127; null where there is no such line.
  template <class LineAt>
  __device__ __forceinline__ AlongInner(const LineAt& line_at, const bf16* readable) : readable_(readable) {
    UNROLL
    for (int i = 0; i < 2; ++i) line_[i] = line_at(thread() / 4 + 64 * i);
  }

  __device__ __forceinline__ void copy(bf16* stage, int step, int inner) const {
    const int part = thread() % 4 * 8, depth = step * kTileDepth + part;
    UNROLL
    for (int i = 0; i < 2; ++i) {
      const bool copies = line_[i] && depth < inner;
      copy_async_16(stage + (thread() / 4 + 64 * i) * kAlongPitch + part,
                    copies ? line_[i] + depth : readable_, copies);
    }
  }

  /// Four 8 x 8 matrices; (line, depth) is where the one begins that this lane names a row of.
  __device__ __forceinline__ static void load(std::uint32_t (&fragment)[4], const bf16* stage, int line,
                                              int depth) {
    load_matrices(fragment, stage + (line + lane() % 8) * kAlongPitch + depth);
  }

 private:
  const bf16 *line_[2], *readable_;
};

template <class PlaceAt>
class AcrossInner {
 public:
  static constexpr int kElements = kAcrossElements;

  /// place_at(depth) for 0 .. inner - 1; `lines`, a multiple of 8, is how many there are from there on.
  __device__ __forceinline__ AcrossInner(const PlaceAt& place_at, int lines, const bf16* readable)
      : place_at_(place_at), readable_(readable), has_lines_(thread() % 16 * 8 < lines) {}

  __device__ __forceinline__ void copy(bf16* stage, int step, int inner) const {
    const int part = thread() % 16 * 8;
    UNROLL
    for (int i = 0; i < 2; ++i) {
      const int row = thread() / 16 + 16 * i, depth = step * kTileDepth + row;
      const bool copies = has_lines_ && depth < inner;
      copy_async_16(stage + row * kAcrossPitch + part, copies ? place_at_(depth) + part : readable_, copies);
    }
  }

  __device__ __forceinline__ static void load(std::uint32_t (&fragment)[4], const bf16* stage, int line,
                                              int depth) {
    load_matrices_transposed(fragment, stage + (depth + lane() % 8) * kAcrossPitch + line);
  }

 private:
  PlaceAt place_at_;
  const bf16* readable_;
  bool has_lines_;
};

/// sum += left right^T, by all threads of the block.
template <class Left, class Right>
__device__ __forceinline__ void multiply_tile(const Left& left, const Right& right, int inner,
                                              TileSums& sum) {
  DynamicShared shared;
  auto* left_stages = shared.take<bf16>(kTileStages * Left::kElements);
  auto* right_stages = shared.take<bf16>(kTileStages * Right::kElements);
  const auto copy = [&](int step) {
    left.copy(left_stages + step % kTileStages * Left::kElements, step, inner);
    right.copy(right_stages + step % kTileStages * Right::kElements, step, inner);
  };

  const int steps = (inner + kTileDepth - 1) / kTileDepth;
  UNROLL
  for (int step = 0; step < kTileStages - 1; ++step) {
    if (step < steps) copy(step);
    commit_copies();
  }
  // As multiply_add wants them, the four matrices of a left fragment, 16 x 16, are numbered along the lines
  // first; those of a right one, two times 8 lines, along the inner dimension first.
  const int first_half = lane() / 8 % 2 * 8, second_half = lane() / 16 * 8;
  for (int step = 0; step < steps; ++step) {
    wait_copies<kTileStages - 2>();
    __syncthreads();  // everyone's copies of this step are there, and the stage of the last step is free
    if (step + kTileStages - 1 < steps) copy(step + kTileStages - 1);
    commit_copies();
    const auto* left_stage = left_stages + step % kTileStages * Left::kElements;
    const auto* right_stage = right_stages + step % kTileStages * Right::kElements;
    UNROLL
    for (int depth = 0; depth < kTileDepth; depth += 16) {
      std::uint32_t rows[kWarpRows / 16][4], columns[kWarpColumns / 16][4];
      UNROLL
      for (int i = 0; i < kWarpRows / 16; ++i)
        Left::load(rows[i], left_stage, warp_row() + 16 * i + first_half, depth + second_half);
      UNROLL
      for (int j = 0; j < kWarpColumns / 16; ++j)
        Right::load(columns[j], right_stage, warp_column() + 16 * j + second_half, depth + first_half);
      UNROLL
      for (int i = 0; i < kWarpRows / 16; ++i) {
        UNROLL
        for (int j = 0; j < kWarpColumns / 8; ++j) {
          const std::uint32_t pair[2] = {columns[j / 2][j % 2 * 2], columns[j / 2][j % 2 * 2 + 1]};
          multiply_add(sum[i][j], rows[i], pair);
        }
      }
    }
  }
}

}  // namespace switchyard::kernels::cuda
