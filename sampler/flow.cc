#include "sampler/flow.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <stdexcept>
#include <utility>

namespace switchyard::sampler {
namespace {

void check(const char* who, const at::Tensor& output, const at::Tensor& z, double t) {
  if (!(0.0 <= t && t <= 1.0)) throw std::invalid_argument(c10::str(who, ": t = ", t, " is outside 0..1"));
  if (output.sizes() != z.sizes()) {
    throw std::invalid_argument(
        c10::str(who, ": model output is ", output.sizes(), ", expected z's ", z.sizes()));
  }
}

// What is neither velocity nor clean image says nothing about a flow's.
void check_flow(const char* who, Prediction prediction) {
  if (prediction == Prediction::velocity || prediction == Prediction::clean_image) return;
  throw std::invalid_argument(
      c10::str(who, ": ", to_string(prediction), " is not a prediction of a rectified flow"));
}

}  // namespace

at::Tensor velocity_from(Prediction prediction, const at::Tensor& output, const at::Tensor& z, double t) {
  check("velocity_from", output, z, t);
  if (prediction == Prediction::velocity) return output;
  check_flow("velocity_from", prediction);
  if (t == 0.0)
    throw std::invalid_argument("velocity_from: a clean_image prediction has no velocity at t = 0");
  return (z - output) / t;  // [N,C,H,W]
}

at::Tensor clean_from(Prediction prediction, const at::Tensor& output, const at::Tensor& z, double t) {
  check("clean_from", output, z, t);
  if (prediction == Prediction::clean_image) return output;
  check_flow("clean_from", prediction);
  return z - t * output;  // [N,C,H,W]
}

Denoiser velocity_denoiser(Prediction prediction, Denoiser model) {
  return [prediction, model = std::move(model)](const at::Tensor& z, double t) {
    return velocity_from(prediction, model(z, t).to(z.scalar_type()), z, t);
  };
}

}  // namespace switchyard::sampler
