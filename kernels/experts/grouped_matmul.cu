// Grouped product: a block computes 128 rows x 128 columns of one expert (tile_product.h). For SwiGLU the 128
// columns are 8 of the gate, 8 of up, 8 of the gate ...: a thread then holds the gate and up sums of the same
// outputs and applies the activation before anything is stored.
#include "kernels/experts/grouped_matmul_kernel.h"
#include "kernels/cuda/tile_product.h"

namespace switchyard::kernels::cuda {
namespace {

enum class Form { linear, swiglu, swiglu_kept, linear_backward, swiglu_backward };

template <Form kForm>
constexpr bool kIsSwiGlu = kForm == Form::swiglu || kForm == Form::swiglu_kept;
template <Form kForm>
constexpr bool kIsBackward = kForm == Form::linear_backward || kForm == Form::swiglu_backward;

struct Group {
  int expert;       // experts: there is no such tile
  int first, last;  // rows
};

// Row tiles are numbered through all experts; only the device knows how many each has.
__device__ __forceinline__ Group find_tile(const GroupedMatmul& a, int number) {
  for (int e = 0; e < a.experts; ++e) {
    const int first = a.begin[e], last = a.begin[e + 1], tiles = (last - first + kTile - 1) / kTile;
    if (number < tiles) return {e, first + number * kTile, last};
    number -= tiles;
  }
  return {a.experts, 0, 0};
}

__device__ __forceinline__ float sigmoid(float x) { return 1 / (1 + __expf(-x)); }

// The results of two neighbouring outputs of a row; `other` are the up sums beside the gate's.
template <Form kForm>
__device__ __forceinline__ void store(const GroupedMatmul& a, std::int64_t row, int output, const float* sum,
                                      [[maybe_unused]] const float* other) {
  auto* y = static_cast<bf16*>(a.y) + row * a.y_stride + output;
  const auto put = [](bf16* to, float first, float second) {
    *reinterpret_cast<Pair*>(to) = {to_bf16(first), to_bf16(second)};
  };
  if constexpr (kIsSwiGlu<kForm>) {
    put(y, sum[0] / (1 + __expf(-sum[0])) * other[0], sum[1] / (1 + __expf(-sum[1])) * other[1]);
    if constexpr (kForm == Form::swiglu_kept) {
      auto* gate_up = static_cast<bf16*>(a.gate_up) + row * a.gate_up_stride + output;
      put(gate_up, sum[0], sum[1]);
      put(gate_up + a.out, other[0], other[1]);
    }
  } else if constexpr (kForm == Form::swiglu_backward) {
    const auto* gate_up = static_cast<const bf16*>(a.gate_up) + row * a.gate_up_stride + output;
    const Pair gates = *reinterpret_cast<const Pair*>(gate_up),
               ups = *reinterpret_cast<const Pair*>(gate_up + a.out);
    const float g[2] = {to_float(gates.first), to_float(gates.second)},
                u[2] = {to_float(ups.first), to_float(ups.second)};
    const float s[2] = {sigmoid(g[0]), sigmoid(g[1])};
    put(y, sum[0] * u[0] * s[0] * (1 + g[0] * (1 - s[0])), sum[1] * u[1] * s[1] * (1 + g[1] * (1 - s[1])));
    put(y + a.out, sum[0] * g[0] * s[0], sum[1] * g[1] * s[1]);
  } else {
    put(y, sum[0], sum[1]);
  }
}

template <Form kForm>
__global__ void __launch_bounds__(kTileThreads) grouped_kernel(GroupedMatmul a) {
  const Group group = find_tile(a, static_cast<int>(blockIdx.x));
  if (group.expert == a.experts) return;  // the whole block
  constexpr bool kSwiGlu = kIsSwiGlu<kForm>;
  const int first_output = static_cast<int>(blockIdx.y) * (kSwiGlu ? kTile / 2 : kTile);
  const auto* x = static_cast<const bf16*>(a.x);
  const auto* weight = static_cast<const bf16*>(a.weight) +
                       static_cast<std::int64_t>(group.expert) * (kSwiGlu ? 2 : 1) * a.out * a.in;

  const AlongInner rows(
      [&](int line) -> const bf16* {
        const int row = group.first + line;
        return row < group.last ? x + (a.token_of ? a.token_of[row] : row) * a.x_stride : nullptr;
      },
      x);
  TileSums sum = {};
  if constexpr (kIsBackward<kForm>) {
    const AcrossInner columns([first = weight + first_output, width = a.out](
                                  int depth) { return first + static_cast<std::int64_t>(depth) * width; },
                              a.out - first_output, weight);
    multiply_tile(rows, columns, a.in, sum);
  } else {
    const AlongInner columns(
        [&](int line) -> const bf16* {
          const int output = first_output + (kSwiGlu ? line / 16 * 8 + line % 8 : line);
          const int half = kSwiGlu ? line / 8 % 2 : 0;  // 0 gate, 1 up
          return output < a.out ? weight + (static_cast<std::int64_t>(half) * a.out + output) * a.in
                                : nullptr;
        },
        weight);
    multiply_tile(rows, columns, a.in, sum);
  }

  UNROLL
  for (int i = 0; i < kWarpRows / 16; ++i) {
    UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = group.first + warp_row() + 16 * i + lane() / 4 + 8 * half;
      if (row >= group.last) continue;
      UNROLL
      for (int j = 0; j < kWarpColumns / 8; j += kSwiGlu ? 2 : 1) {
        const int output =
            first_output + (kSwiGlu ? warp_column() / 2 + 4 * j : warp_column() + 8 * j) + lane() % 4 * 2;
        if (output < a.out)
          store<kForm>(a, row, output, sum[i][j] + 2 * half, sum[i][kSwiGlu ? j + 1 : j] + 2 * half);
      }
    }
  }
}

template <Form kForm>
void launch_grouped(const GroupedMatmul& a, Stream stream) {
  require(a.experts >= 1, "grouped product: expected at least one expert");
  require(a.in >= 8 && a.in % 8 == 0 && a.out % 8 == 0 && a.x_stride % 8 == 0 && a.y_stride % 8 == 0 &&
              a.gate_up_stride % 8 == 0,
          "grouped product: expected sizes and strides that are multiples of 8");
  require(a.rows < 0x7fffffff, "grouped product: expected fewer than 2^31 rows");
  if (a.rows == 0 || a.out == 0) return;
  const unsigned row_tiles = blocks_for(a.rows, kTile) + static_cast<unsigned>(a.experts) - 1;  // at most
  const unsigned column_tiles = blocks_for(a.out, kIsSwiGlu<kForm> ? kTile / 2 : kTile);
  launch(grouped_kernel<kForm>, dim3(row_tiles, column_tiles), kTileThreads,
         tile_shared_bytes(kAlongElements, kIsBackward<kForm> ? kAcrossElements : kAlongElements), stream, a);
}

}  // namespace

void grouped_swiglu(const GroupedMatmul& a, Stream stream) {
  a.gate_up ? launch_grouped<Form::swiglu_kept>(a, stream) : launch_grouped<Form::swiglu>(a, stream);
}

void grouped_linear(const GroupedMatmul& a, Stream stream) { launch_grouped<Form::linear>(a, stream); }

void grouped_linear_backward(const GroupedMatmul& a, Stream stream) {
  launch_grouped<Form::linear_backward>(a, stream);
}

void grouped_swiglu_backward(const GroupedMatmul& a, Stream stream) {
  require(a.gate_up || a.rows == 0, "grouped_swiglu_backward: expected gate_up");
  launch_grouped<Form::swiglu_backward>(a, stream);
}

}  // namespace switchyard::kernels::cuda
