// Gradients of the experts' weights: a block computes 128 x 128 of one expert's (tile_product.h), through all
// of its rows.
#include "kernels/experts/grouped_gradient_kernel.h"
#include "kernels/cuda/tile_product.h"

namespace switchyard::kernels::cuda {
namespace {

__global__ void __launch_bounds__(kTileThreads) gradient_kernel(GroupedGradient a) {
  const int first_in = static_cast<int>(blockIdx.x) * kTile, first_out = static_cast<int>(blockIdx.y) * kTile;
  const int expert = static_cast<int>(blockIdx.z);
  const int first = a.begin[expert], rows = a.begin[expert + 1] - first;
  const auto* dy = static_cast<const bf16*>(a.dy);
  const auto* x = static_cast<const bf16*>(a.x);

  const AcrossInner left([place = dy + first * a.dy_stride + first_out,
                          stride = a.dy_stride](int depth) { return place + depth * stride; },
                         a.out - first_out, dy);
  const AcrossInner right(
      [place = x + first_in, stride = a.x_stride, token_of = a.token_of, first](int depth) {
        return place + (token_of ? token_of[first + depth] : first + depth) * stride;
      },
      a.in - first_in, x);
  TileSums sum = {};
  multiply_tile(left, right, rows, sum);

  auto* dw = static_cast<bf16*>(a.dw) + static_cast<std::int64_t>(expert) * a.out * a.in;
  UNROLL
  for (int i = 0; i < kWarpRows / 16; ++i) {
    UNROLL
    for (int half = 0; half < 2; ++half) {
      const int out = first_out + warp_row() + 16 * i + lane() / 4 + 8 * half;
      if (out >= a.out) continue;
      UNROLL
      for (int j = 0; j < kWarpColumns / 8; ++j) {
        const int in = first_in + warp_column() + 8 * j + lane() % 4 * 2;
        if (in >= a.in) continue;
        *reinterpret_cast<Pair*>(dw + static_cast<std::int64_t>(out) * a.in + in) = {
            to_bf16(sum[i][j][2 * half]), to_bf16(sum[i][j][2 * half + 1])};
      }
    }
  }
}

}  // namespace

void grouped_gradient(const GroupedGradient& a, Stream stream) {
  require(a.experts >= 1, "grouped gradient: expected at least one expert");
  require(a.in % 8 == 0 && a.out % 8 == 0 && a.dy_stride % 8 == 0 && a.x_stride % 8 == 0,
          "grouped gradient: expected sizes and strides that are multiples of 8");
  if (a.in == 0 || a.out == 0) return;
  const dim3 grid(blocks_for(a.in, kTile), blocks_for(a.out, kTile), static_cast<unsigned>(a.experts));
  launch(gradient_kernel, grid, kTileThreads, tile_shared_bytes(kAcrossElements, kAcrossElements), stream, a);
}

}  // namespace switchyard::kernels::cuda
