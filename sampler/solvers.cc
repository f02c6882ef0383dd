#include "sampler/solvers.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "sampler/flow.h"
#include "sampler/near_misses.h"

namespace switchyard::sampler {
namespace {

// A step goes from z at t to t_next; d_cur = v(z, t) is given. Products are rounded before they are added (no
// at::add with alpha, whose vector and tail loops may fuse differently), which keeps images independent of
// the batch.
using Step = at::Tensor (*)(const Denoiser& v, const at::Tensor& z, const at::Tensor& d_cur, double t,
                            double t_next);

at::Tensor euler_step(const Denoiser&, const at::Tensor& z, const at::Tensor& d_cur, double t,
                      double t_next) {
  return z + (t_next - t) * d_cur;  // [N,C,H,W]
}

at::Tensor heun_step(const Denoiser& v, const at::Tensor& z, const at::Tensor& d_cur, double t,
                     double t_next) {
  const at::Tensor z_euler = z + (t_next - t) * d_cur;  // [N,C,H,W]
  if (t_next == 0.0) return z_euler;
  const at::Tensor d_prime = v(z_euler, t_next);        // [N,C,H,W]
  return z + (t_next - t) * (0.5 * (d_cur + d_prime));  // [N,C,H,W]
}

at::Tensor midpoint_step(const Denoiser& v, const at::Tensor& z, const at::Tensor& d_cur, double t,
                         double t_next) {
  const double t_mid = 0.5 * (t + t_next);
  const at::Tensor z_mid = z + (t_mid - t) * d_cur;  // [N,C,H,W]
  return z + (t_next - t) * v(z_mid, t_mid);         // [N,C,H,W]
}

constexpr std::array<std::string_view, 3> kSolverNames = {"euler", "heun", "midpoint"};  // by enumerator
constexpr std::array<Step, 3> kSteps = {euler_step, heun_step, midpoint_step};

void check_times(const std::vector<double>& times) {
  if (times.size() < 2)
    throw std::invalid_argument(c10::str("solve: ", times.size(), " times, expected at least 2"));
  for (std::size_t i = 0; i < times.size(); ++i) {
    const bool falls = i == 0 || times[i] < times[i - 1];
    if (!(falls && 0.0 <= times[i] && times[i] <= 1.0)) {
      throw std::invalid_argument(
          c10::str("solve: times[", i, "] = ", times[i], ", expected values in 0..1 that fall"));
    }
  }
}

}  // namespace

std::string_view to_string(Solver solver) { return kSolverNames.at(static_cast<std::size_t>(solver)); }

Solver solver_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kSolverNames.size(); ++i) {
    if (kSolverNames[i] == name) return static_cast<Solver>(i);
  }
  throw std::invalid_argument(c10::str("unknown solver \"", name, "\"; ", near_misses(name, kSolverNames)));
}

std::span<const std::string_view> solver_names() { return kSolverNames; }

std::optional<at::Tensor> solve(Solver solver, const Denoiser& velocity, at::Tensor z,
                                const std::vector<double>& times, const OnStep& on_step) {
  check_times(times);
  if (z.scalar_type() != at::kFloat && z.scalar_type() != at::kDouble) {
    throw std::invalid_argument(c10::str("solve: z is ", z.scalar_type(), ", expected float32"));
  }
  const Denoiser v = velocity_denoiser(Prediction::velocity, velocity);  // with shape and dtype seen to
  const Step step = kSteps.at(static_cast<std::size_t>(solver));
  const int steps = static_cast<int>(times.size()) - 1;

  for (int i = 0; i < steps; ++i) {
    const double t = times[i], t_next = times[i + 1];
    const at::Tensor d_cur = v(z, t);                        // [N,C,H,W]
    const at::Tensor z_next = step(v, z, d_cur, t, t_next);  // [N,C,H,W]
    if (on_step) {
      const at::Tensor x_hat = clean_from(Prediction::velocity, d_cur, z, t);  // [N,C,H,W]
      if (!on_step({i, steps, t, t_next, z_next, x_hat})) return std::nullopt;
    }
    z = z_next;
  }
  return z;  // [N,C,H,W]
}

}  // namespace switchyard::sampler
