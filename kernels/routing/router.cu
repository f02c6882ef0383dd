// Router: one warp per token; lane l holds experts l, l + 32, ... All reductions have a fixed order, so a
// token's route does not depend on the others.
#include "kernels/cuda/device.h"
#include "kernels/routing/router_kernel.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;

// The key of what cannot win any more, or never could; NaN comes after every number.
constexpr float kNever = -INFINITY, kNotANumber = -3.402823466e38F;

// The control values of a token's experts, or null.
__device__ __forceinline__ const float* of_token(const Control& control, const Router& a, std::int64_t token) {
  if (!control.values) return nullptr;
  const std::int64_t image = token / a.tokens_per_image;
  return control.values + image * control.image_stride +
         (token - image * a.tokens_per_image) * control.token_stride;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int other = 16; other > 0; other >>= 1) x = fmaxf(x, __shfl_xor_sync(kFullWarp, x, other));
  return x;
}

// Logits of one token, experts lane + 32 c in logit[c].
template <class T, int kChunks>
__device__ __forceinline__ void compute_logits(const Router& a, std::int64_t token, float (&logit)[kChunks]) {
  const auto* x = static_cast<const T*>(a.x) + token * a.x_stride;
  UNROLL
  for (int c = 0; c < kChunks; ++c) {
    logit[c] = -INFINITY;
    if (!a.gate) {
      const int e = lane() + 32 * c;
      if (e < a.experts) logit[c] = to_float(x[e]);
      continue;
    }
    for (int l = 0; l < 32 && l + 32 * c < a.experts; ++l) {
      const auto* gate = static_cast<const T*>(a.gate) + (l + 32 * c) * a.gate_stride;
      float sum = 0;
      for (int i = lane(); i < a.width; i += 32) sum += to_float(x[i]) * to_float(gate[i]);
      sum = warp_sum(sum);
      if (lane() == l) logit[c] = sum;
    }
  }
}

template <class T, int kChunks>
__global__ void __launch_bounds__(kThreads) route_kernel(Router a) {
  SHARED_ARRAY(int, counts, 32 * kChunks);
  for (int e = thread(); e < 32 * kChunks; e += kThreads) counts[e] = 0;
  __syncthreads();

  const std::int64_t token = static_cast<std::int64_t>(blockIdx.x) * kWarps + warp();
  if (token < a.tokens) {  // the same for a whole warp
    float logit[kChunks], key[kChunks];
    compute_logits<T>(a, token, logit);
    float largest = logit[0], sum = 0;
    UNROLL
    for (int c = 1; c < kChunks; ++c) largest = fmaxf(largest, logit[c]);
    largest = warp_max(largest);
    UNROLL
    for (int c = 0; c < kChunks; ++c) {
      logit[c] = lane() + 32 * c < a.experts ? expf(logit[c] - largest) : 0;
      sum += logit[c];
    }
    sum = warp_sum(sum);
    const float *bias = of_token(a.bias, a, token), *scale = of_token(a.scale, a, token);
    UNROLL
    for (int c = 0; c < kChunks; ++c) {
      const int e = lane() + 32 * c;
      const float p = logit[c] = logit[c] / sum;
      key[c] = kNever;
      if (e >= a.experts) continue;
      const float biased = bias ? p + bias[e] : p;
      key[c] = biased == biased ? biased : kNotANumber;
      if (a.probabilities) a.probabilities[token * a.experts + e] = p;
    }

    for (int slot = 0; slot < a.k; ++slot) {
      float best = key[0];
      int expert = lane();
      UNROLL
      for (int c = 1; c < kChunks; ++c) {
        if (key[c] > best) {
          best = key[c];
          expert = lane() + 32 * c;
        }
      }
      for (int other = 16; other > 0; other >>= 1) {
        const float their_best = __shfl_xor_sync(kFullWarp, best, other);
        const int their_expert = __shfl_xor_sync(kFullWarp, expert, other);
        if (their_best > best || (their_best == best && their_expert < expert)) {
          best = their_best;
          expert = their_expert;
        }
      }
      if (best == kNever) {  // all that are left are muted
        if (lane() == 0) {
          a.chosen[token * a.k + slot] = -1;
          a.gate_weights[token * a.k + slot] = 0;
        }
        continue;
      }
      UNROLL
      for (int c = 0; c < kChunks; ++c) {
        if (expert != lane() + 32 * c) continue;
        key[c] = kNever;
        a.chosen[token * a.k + slot] = expert;
        a.gate_weights[token * a.k + slot] = scale ? logit[c] * scale[expert] : logit[c];
        atomicAdd(&counts[expert], 1);
      }
    }
  }

  __syncthreads();
  for (int e = thread(); e < a.experts; e += kThreads) {
    if (counts[e]) atomicAdd(&a.counts[e], counts[e]);  // whole numbers: the order does not matter
  }
}

template <class T>
auto kernel_for(int experts) {
  return experts <= 32 ? route_kernel<T, 1> : route_kernel<T, kMaxExperts / 32>;
}

}  // namespace

void route(const Router& a, Stream stream) {
  require(a.experts >= 1 && a.experts <= kMaxExperts, "route: expected 1 to 128 experts");
  require(a.k >= 1 && a.k <= a.experts && a.k <= kMaxExpertsPerToken,
          "route: expected 1 <= k <= experts and k <= 8");
  require(a.gate || a.width == a.experts, "route: expected as many logits as experts");
  require(a.tokens_per_image > 0 || !(a.bias.values || a.scale.values),
          "route: expected the number of tokens of an image");
  clear(a.counts, static_cast<std::size_t>(a.experts) * sizeof(std::int32_t), stream);
  if (a.tokens == 0) return;
  const auto kernel = a.dtype == DType::bf16 ? kernel_for<bf16>(a.experts) : kernel_for<float>(a.experts);
  launch(kernel, blocks_for(a.tokens, kWarps), kThreads, 0, stream, a);
}

}  // namespace switchyard::kernels::cuda
