// Expert choice (Zhou et al. 2022, "Mixture-of-Experts with Expert Choice Routing"; in diffusion transformers
// EC-DiT, Sun et al. 2024): every expert takes the tokens that score highest with it, as many as all others.
//
//   capacity c = ceil(k T / E) tokens of each image: k experts per token on average
//
// Among the tokens of one image, so that no image depends on its batch. A token may have no routed expert, or
// all; the load is balanced by construction.
#include <ATen/ATen.h>

#include <algorithm>

#include "dit/token_router.h"

namespace switchyard::dit {
namespace {

class ExpertChoiceRouter : public GatedRouter {
 public:
  using GatedRouter::GatedRouter;

  kernels::Routing operator()(const at::Tensor& x, int64_t k, const kernels::Selection& selection) const override {
    const auto p = probabilities(x.flatten(0, 1));
    const int64_t tokens = x.size(1), experts = p.size(1);
    const int64_t capacity = std::clamp<int64_t>((k * tokens + experts - 1) / experts, 1, tokens);
    return kernels::select_by_experts(p, capacity, selection, x.size(0));
  }
};

}  // namespace

std::unique_ptr<TokenRouter> make_expert_choice(int64_t experts, int64_t width,
                                                const at::TensorOptions& options) {
  return std::make_unique<ExpertChoiceRouter>(experts, width, options);
}

}  // namespace switchyard::dit
