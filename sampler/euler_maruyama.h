// The stochastic differential equation that has the same images as the flow, by the method of Euler and Maruyama.
//
// With s = 1 - t from noise to image, score = -noise / sigma, and any w(s) >= 0:
//   dx = (dx/ds + w score) ds + sqrt(2 w) dW
// Ma et al. 2024, "SiT: Exploring Flow and Diffusion-based Generative Models with Scalable Interpolant Transformers",
// equation 4 (there the diffusion is 2 w), appendix A for the forms of w.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <string_view>

#include "sampler/problem.h"

namespace switchyard::sampler {

/// w, for a norm of c.
enum class DiffusionForm {
  constant,               // c
  sbdm,                   // c (d log alpha/ds sigma^2 - sigma d sigma/ds): score-based diffusion. Without bound at the
                          // noise end, where that of t = 0.999 is taken; it needs many steps
  sigma,                  // c sigma
  linear,                 // c (1 - s)
  decreasing,             // (c cos(pi s) + 1)^2 / 4
  increasing_decreasing,  // c sin(pi s)^2
};

/// How the last step, to the image, is made.
enum class LastStep {
  mean,     // without fresh noise
  euler,    // along the flow
  tweedie,  // to the expected image
  none,     // as the others
};

struct Diffusion {
  DiffusionForm form = DiffusionForm::sigma;
  double norm = 1;
  LastStep last = LastStep::mean;

  bool operator==(const Diffusion&) const = default;
};

std::span<const std::string_view> diffusion_form_names();  // in the order of the enums
std::span<const std::string_view> last_step_names();
std::string_view to_string(DiffusionForm form);
std::string_view to_string(LastStep last);
DiffusionForm diffusion_form_from_name(std::string_view name);  // throw std::invalid_argument with near misses
LastStep last_step_from_name(std::string_view name);

/// w at a level of a schedule in unit time.
double diffusion_at(const Schedule& schedule, const Level& at, const Diffusion& diffusion);

/// In unit time; one evaluation and one draw per step (the draw of a last step that takes none is left out).
std::optional<at::Tensor> solve_euler_maruyama(const Problem& problem, at::Tensor x, const Diffusion& diffusion);

}  // namespace switchyard::sampler
