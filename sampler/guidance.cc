#include "sampler/guidance.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <cmath>
#include <stdexcept>

namespace switchyard::sampler {

void validate(const Guidance& guidance) {
  const auto& [scale, t_low, t_high] = guidance;
  if (!std::isfinite(scale)) {
    throw std::invalid_argument(c10::str("guidance scale is ", scale, ", expected a finite number"));
  }
  if (!(0.0 <= t_low && t_low <= t_high && t_high <= 1.0)) {
    throw std::invalid_argument(
        c10::str("guidance interval is ", t_low, "..", t_high, ", expected 0 <= low <= high <= 1"));
  }
}

bool guidance_active(const Guidance& guidance, double t) {
  return guidance.scale != 1.0 && guidance.t_low <= t && t <= guidance.t_high;
}

Denoiser guide(Denoiser conditional, PairedDenoiser both, const Guidance& guidance) {
  validate(guidance);
  return [conditional = std::move(conditional), both = std::move(both), guidance](const at::Tensor& z,
                                                                                  double t) {
    if (!guidance_active(guidance, t)) return conditional(z, t);
    auto [v_c, v_u] = both(z, t);   // [N,C,H,W] each
    v_c = v_c.to(z.scalar_type());  // a difference of half-precision numbers would lose most of its digits
    v_u = v_u.to(z.scalar_type());
    return v_u + guidance.scale * (v_c - v_u);  // [N,C,H,W]
  };
}

}  // namespace switchyard::sampler
