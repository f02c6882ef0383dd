// Grouped product: a block computes 128 rows x 128 weight rows in steps of 32 along the inner dimension;
// three steps' operands are in shared memory at once, copied there asynchronously. Its eight warps, 2 x 4,
// each hold 64 x 32 sums in registers. For SwiGLU the 128 weight rows are 8 of the gate, 8 of up, 8 of the
// gate ...: a thread then holds the gate and up sums of the same outputs and applies the activation before
// anything is stored.
#include "kernels/cuda/device.h"
#include "kernels/cuda/grouped_matmul.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 128, kColumns = 128, kDepth = 32, kStages = 3;
constexpr int kPitch = kDepth + 8;  // of rows in shared memory: ldmatrix then meets no bank twice
constexpr int kWarpRows = 64, kWarpColumns = 32;
constexpr std::size_t kSharedBytes = sizeof(bf16) * kStages * (kRows + kColumns) * kPitch;

struct alignas(4) Pair {
  bf16 first, second;
};

struct Tile {
  int expert;       // experts: there is no such tile
  int first, last;  // rows
};

// Row tiles are numbered through all experts; only the device knows how many each has.
__device__ __forceinline__ Tile find_tile(const GroupedMatmul& a, int number) {
  for (int e = 0; e < a.experts; ++e) {
    const int first = a.begin[e], last = a.begin[e + 1], tiles = (last - first + kRows - 1) / kRows;
    if (number < tiles) return {e, first + number * kRows, last};
    number -= tiles;
  }
  return {a.experts, 0, 0};
}

template <bool kSwiGlu>
__global__ void __launch_bounds__(kThreads) grouped_kernel(GroupedMatmul a) {
  const Tile tile = find_tile(a, static_cast<int>(blockIdx.x));
  if (tile.expert == a.experts) return;  // the whole block
  constexpr int kOutputs = kSwiGlu ? kColumns / 2 : kColumns;
  const int first_output = static_cast<int>(blockIdx.y) * kOutputs;
  const auto* x = static_cast<const bf16*>(a.x);
  const auto* weight = static_cast<const bf16*>(a.weight) +
                       static_cast<std::int64_t>(tile.expert) * (kSwiGlu ? 2 : 1) * a.out * a.in;
  DynamicShared shared;
  auto* rows = shared.take<bf16>(kStages * kRows * kPitch);
  auto* columns = shared.take<bf16>(kStages * kColumns * kPitch);

  // Each thread copies 8 elements, at the same place in the inner dimension, of two rows and two weight rows.
  const int copy_row = thread() / 4, copy_depth = thread() % 4 * 8;
  const bf16 *from_row[2], *from_column[2];
  UNROLL
  for (int i = 0; i < 2; ++i) {
    const int row = tile.first + copy_row + 64 * i, column = copy_row + 64 * i;
    from_row[i] = nullptr;
    if (row < tile.last) from_row[i] = x + (a.token_of ? a.token_of[row] : row) * a.x_stride;
    const int output = first_output + (kSwiGlu ? column / 16 * 8 + column % 8 : column);
    const int half = kSwiGlu ? column / 8 % 2 : 0;  // 0 gate, 1 up
    from_column[i] = nullptr;
    if (output < a.out) from_column[i] = weight + (static_cast<std::int64_t>(half) * a.out + output) * a.in;
  }
  const auto copy = [&](int step) {
    const int depth = step * kDepth + copy_depth, stage = step % kStages;
    UNROLL
    for (int i = 0; i < 2; ++i) {
      const int to = (stage * kRows + copy_row + 64 * i) * kPitch + copy_depth;
      const bool row_copies = from_row[i] && depth < a.in, column_copies = from_column[i] && depth < a.in;
      copy_async_16(rows + to, row_copies ? from_row[i] + depth : x, row_copies);
      copy_async_16(columns + to, column_copies ? from_column[i] + depth : weight, column_copies);
    }
  };
  static_assert(kRows == kColumns);

  const int steps = (a.in + kDepth - 1) / kDepth;
  UNROLL
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) copy(step);
    commit_copies();
  }
  const int warp_row = warp() / 4 * kWarpRows, warp_column = warp() % 4 * kWarpColumns;
  float sum[kWarpRows / 16][kWarpColumns / 8][4] = {};
  for (int step = 0; step < steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();  // everyone's copies of this step are there, and the stage of the last step is free
    if (step + kStages - 1 < steps) copy(step + kStages - 1);
    commit_copies();
    const auto* stage_rows = rows + step % kStages * kRows * kPitch;
    const auto* stage_columns = columns + step % kStages * kColumns * kPitch;
    UNROLL
    for (int depth = 0; depth < kDepth; depth += 16) {
      std::uint32_t left[kWarpRows / 16][4], right[kWarpColumns / 16][4];
      UNROLL
      for (int i = 0; i < kWarpRows / 16; ++i)
        load_matrices(left[i],
                      stage_rows + (warp_row + 16 * i + lane() % 16) * kPitch + depth + lane() / 16 * 8);
      UNROLL
      for (int j = 0; j < kWarpColumns / 16; ++j)
        load_matrices(right[j], stage_columns +
                                    (warp_column + 16 * j + lane() / 16 * 8 + lane() % 8) * kPitch + depth +
                                    lane() / 8 % 2 * 8);
      UNROLL
      for (int i = 0; i < kWarpRows / 16; ++i) {
        UNROLL
        for (int j = 0; j < kWarpColumns / 8; ++j) {
          const std::uint32_t pair[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
          multiply_add(sum[i][j], left[i], pair);
        }
      }
    }
  }

  // Lane l holds rows l / 4 and l / 4 + 8, columns 2 (l % 4) and the next, of each 16 x 8 tile.
  auto* y = static_cast<bf16*>(a.y);
  UNROLL
  for (int i = 0; i < kWarpRows / 16; ++i) {
    UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = tile.first + warp_row + 16 * i + lane() / 4 + 8 * half;
      if (row >= tile.last) continue;
      UNROLL
      for (int j = 0; j < kWarpColumns / 8; j += kSwiGlu ? 2 : 1) {
        const int output =
            first_output + (kSwiGlu ? warp_column / 2 + 4 * j : warp_column + 8 * j) + lane() % 4 * 2;
        if (output >= a.out) continue;
        float value[2];
        UNROLL
        for (int k = 0; k < 2; ++k) {
          value[k] = sum[i][j][2 * half + k];
          if constexpr (kSwiGlu) value[k] = value[k] / (1 + __expf(-value[k])) * sum[i][j + 1][2 * half + k];
        }
        *reinterpret_cast<Pair*>(y + row * a.y_stride + output) = {to_bf16(value[0]), to_bf16(value[1])};
      }
    }
  }
}

template <bool kSwiGlu>
void launch_grouped(const GroupedMatmul& a, Stream stream) {
  require(a.experts >= 1, "grouped product: expected at least one expert");
  require(a.in >= 8 && a.in % 8 == 0 && a.out % 8 == 0 && a.x_stride % 8 == 0 && a.y_stride % 8 == 0,
          "grouped product: expected sizes and strides that are multiples of 8");
  require(a.rows < 0x7fffffff, "grouped product: expected fewer than 2^31 rows");
  if (a.rows == 0 || a.out == 0) return;
  const unsigned row_tiles = blocks_for(a.rows, kRows) + static_cast<unsigned>(a.experts) - 1;  // at most
  const unsigned column_tiles = blocks_for(a.out, kSwiGlu ? kColumns / 2 : kColumns);
  launch(grouped_kernel<kSwiGlu>, dim3(row_tiles, column_tiles), kThreads, kSharedBytes, stream, a);
}

}  // namespace

void grouped_swiglu(const GroupedMatmul& a, Stream stream) { launch_grouped<true>(a, stream); }
void grouped_linear(const GroupedMatmul& a, Stream stream) { launch_grouped<false>(a, stream); }

}  // namespace switchyard::kernels::cuda
