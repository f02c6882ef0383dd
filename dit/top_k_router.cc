// The router of DiT-MoE (Fei et al. 2024): every token picks the k experts that score highest.
#include "dit/token_router.h"

namespace switchyard::dit {
namespace {

class TopKRouter : public GatedRouter {
 public:
  using GatedRouter::GatedRouter;

  kernels::Routing operator()(const at::Tensor& x, int64_t k, const kernels::Selection& selection) const override {
    return top_k(x, k, selection);
  }
};

}  // namespace

std::unique_ptr<TokenRouter> make_top_k(int64_t experts, int64_t width, const at::TensorOptions& options) {
  return std::make_unique<TopKRouter>(experts, width, options);
}

}  // namespace switchyard::dit
