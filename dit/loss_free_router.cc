// Loss-free balancing (Wang et al. 2024, "Auxiliary-Loss-Free Load Balancing Strategy for Mixture-of-Experts"):
// top-k by p + b with one bias b per expert, which moves the choice and not the gate weight. After each training
// step,
//
//   b_e += u sign(mean load - load of e),   u = 0.001
//
// so that an expert with too few tokens is chosen more often. No loss, so no gradient that disturbs the others.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "dit/token_router.h"

namespace switchyard::dit {
namespace {

constexpr double kUpdateRate = 0.001;

class LossFreeRouter : public GatedRouter {
 public:
  LossFreeRouter(int64_t experts, int64_t width, const at::TensorOptions& options)
      : GatedRouter(experts, width, options), bias_(at::empty({experts}, options.dtype(at::kFloat))) {}

  kernels::Routing operator()(const at::Tensor& x, int64_t k, const kernels::Selection& selection) const override {
    auto balanced = selection;
    const auto own = bias_.view({1, 1, -1});
    balanced.bias = selection.bias.defined() ? selection.bias + own : own;
    return top_k(x, k, balanced);
  }

  void balance(const at::Tensor& choices) override {
    const at::NoGradGuard no_grad;
    const auto load = choices.to(bias_.device(), at::kFloat);
    bias_.add_(at::sign(load.mean() - load), kUpdateRate);
  }

  // The name of DeepSeek-V3's checkpoints.
  std::vector<Parameter> buffers(const std::string& prefix) override {
    return {{prefix + "gate.e_score_correction_bias", &bias_}};
  }

  void initialize(const at::Generator& generator) override {
    GatedRouter::initialize(generator);
    bias_.zero_();
  }

 private:
  at::Tensor bias_;  // [E] fp32
};

}  // namespace

std::unique_ptr<TokenRouter> make_loss_free(int64_t experts, int64_t width, const at::TensorOptions& options) {
  return std::make_unique<LossFreeRouter>(experts, width, options);
}

}  // namespace switchyard::dit
