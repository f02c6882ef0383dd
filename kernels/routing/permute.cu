// Stable counting sort: one block per expert walks over all rows and places its own. The expert's first place
// is the sum of the counts before it, which every block computes for itself.
#include "kernels/cuda/device.h"
#include "kernels/routing/permute_kernel.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 512, kWarps = kThreads / 32;

__global__ void __launch_bounds__(kThreads) order_kernel(Permutation a) {
  SHARED_ARRAY(int, found, kWarps);  // rows of this expert among the 32 of each warp
  const int expert = static_cast<int>(blockIdx.x);
  int next = 0;
  for (int e = 0; e < expert; ++e) next += a.counts[e];
  if (thread() == 0) {
    a.begin[expert] = next;
    if (expert == a.experts - 1) a.begin[a.experts] = next + a.counts[expert];
  }
  for (std::int64_t first = 0; first < a.rows; first += kThreads) {
    const std::int64_t row = first + thread();
    const bool mine = row < a.rows && a.chosen[row] == expert;
    if (expert == 0 && row < a.rows && a.chosen[row] < 0) a.position[row] = -1;
    const unsigned votes = __ballot_sync(kFullWarp, mine);
    if (lane() == 0) found[warp()] = __popc(votes);
    __syncthreads();
    int before = 0, all = 0;
    UNROLL
    for (int w = 0; w < kWarps; ++w) {
      before += w < warp() ? found[w] : 0;
      all += found[w];
    }
    if (mine) {
      const int position = next + before + __popc(votes & ((1U << lane()) - 1));
      a.position[row] = position;
      a.token_of[position] = static_cast<std::int32_t>(row / a.k);
    }
    next += all;
    __syncthreads();  // `found` is written again
  }
}

__global__ void __launch_bounds__(kThreads)
    count_kernel(const std::int32_t* chosen, std::int64_t rows, std::int32_t* counts) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kThreads + thread();
  if (row < rows && chosen[row] >= 0) atomicAdd(&counts[chosen[row]], 1);
}

}  // namespace

void order_by_expert(const Permutation& a, Stream stream) {
  require(a.experts >= 1 && a.k >= 1, "order_by_expert: expected at least one expert and one slot");
  require(a.rows < 0x7fffffff, "order_by_expert: expected fewer than 2^31 rows");
  launch(order_kernel, static_cast<unsigned>(a.experts), kThreads, 0, stream, a);
}

void count_experts(const std::int32_t* chosen, std::int64_t rows, int experts, std::int32_t* counts,
                   Stream stream) {
  clear(counts, static_cast<std::size_t>(experts) * sizeof(std::int32_t), stream);
  if (rows > 0) launch(count_kernel, blocks_for(rows, kThreads), kThreads, 0, stream, chosen, rows, counts);
}

}  // namespace switchyard::kernels::cuda
