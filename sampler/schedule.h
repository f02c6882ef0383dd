// Noise schedules: which (alpha, sigma) a model's time t stands for.
//
//   rectified_flow   t in 0..1         alpha = 1 - t, sigma = t
//
//   gvp              t in 0..1         alpha = cos(pi t / 2), sigma = sin(pi t / 2): a quarter of a circle, along which
//                                      dx/dt is pi/2 times v (Ma et al. 2024, SiT; Albergo and Vanden-Eijnden 2023)
//
//   linear           timestep 0..999   alpha^2 = prod (1 - beta), beta linear in 0.0001 .. 0.02
//                                      (Ho et al. 2020)
//
//   scaled_linear    timestep 0..999   sqrt(beta) linear in sqrt(0.00085) .. sqrt(0.012) (latent diffusion)
//
//   cosine           timestep 0..999   alpha^2 = cos^2((t/1000 + 0.008) / 1.008 pi/2) up to a constant,
//                                      beta at most 0.999 (Nichol and Dhariwal 2021)
//
//   edm              t = sigma > 0     alpha = 1 (Karras et al. 2022)
//
// The discrete schedules and gvp preserve variance: alpha^2 + sigma^2 = 1. Everything is computed in double.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampler/level.h"

namespace switchyard::sampler {

std::vector<double> linear_betas(int timesteps, double first, double last);
std::vector<double> scaled_linear_betas(int timesteps, double first, double last);
std::vector<double> cosine_betas(int timesteps);

class Schedule {
 public:
  /// One of schedule_names(), with the constants above; std::invalid_argument, with the near misses, for
  /// others.
  explicit Schedule(std::string_view name);

  /// A discrete schedule with other betas, each in (0, 1), at least two.
  static Schedule of_betas(std::string name, const std::vector<double>& betas);

  const std::string& name() const { return name_; }
  bool is_flow() const { return kind_ == Kind::flow; }
  bool is_circle() const { return kind_ == Kind::circle; }
  bool in_unit_time() const { return is_flow() || is_circle(); }  // t from 1, noise, to 0, the image
  bool is_discrete() const { return kind_ == Kind::discrete; }

  /// Of a discrete schedule: how many timesteps, and alpha^2 of each. Else 0 and none.
  int timesteps() const { return static_cast<int>(alphas_cumprod_.size()); }
  const std::vector<double>& alphas_cumprod() const { return alphas_cumprod_; }

  /// The level at t. Between two timesteps sigma / alpha is interpolated linearly. Throws
  /// std::invalid_argument for a t that the schedule does not have.
  Level level(double t) const;

  /// The level at a given sigma / alpha > 0. Of a discrete schedule, t is interpolated in log(sigma / alpha)
  /// and stays within 0..999.
  Level at_ratio(double ratio) const;

  /// x_0 itself, where sampling ends; its t is below every other (-1 of a discrete schedule, else 0).
  Level clean() const;

  /// How noisy t is on a scale that all schedules share, 0 (clean) to 1 (noise): t in unit time,
  /// timestep / 999, sigma / (1 + sigma).
  double noise_fraction(double t) const;

 private:
  enum class Kind { flow, circle, discrete, edm };
  Schedule(std::string name, Kind kind) : name_(std::move(name)), kind_(kind) {}

  std::string name_;
  Kind kind_ = Kind::flow;
  std::vector<double> alphas_cumprod_, log_ratios_;  // [timesteps] both
};

std::span<const std::string_view> schedule_names();

}  // namespace switchyard::sampler
