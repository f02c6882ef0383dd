#include "sampler/schedule.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <numbers>
#include <stdexcept>
#include <utility>

#include "io/near_misses.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<std::string_view, 6> kScheduleNames = {"rectified_flow", "gvp",    "linear",
                                                            "scaled_linear",  "cosine", "edm"};
constexpr int kTimesteps = 1000;
constexpr double kQuarter = std::numbers::pi / 2;

}  // namespace

std::vector<double> linear_betas(int timesteps, double first, double last) {
  std::vector<double> betas;
  for (int i = 0; i < timesteps; ++i) {
    betas.push_back(timesteps == 1 ? first : first + (last - first) * i / (timesteps - 1));
  }
  return betas;
}

std::vector<double> scaled_linear_betas(int timesteps, double first, double last) {
  auto betas = linear_betas(timesteps, std::sqrt(first), std::sqrt(last));
  for (double& beta : betas) beta *= beta;
  return betas;
}

std::vector<double> cosine_betas(int timesteps) {
  constexpr double kOffset = 0.008, kMaxBeta = 0.999;
  const auto alpha_bar = [&](double t) {
    const double cosine = std::cos((t + kOffset) / (1 + kOffset) * std::numbers::pi / 2);
    return cosine * cosine;
  };
  std::vector<double> betas;
  for (int i = 0; i < timesteps; ++i) {
    const double here = alpha_bar(static_cast<double>(i) / timesteps);
    const double next = alpha_bar(static_cast<double>(i + 1) / timesteps);
    betas.push_back(std::min(1 - next / here, kMaxBeta));
  }
  return betas;
}

Schedule::Schedule(std::string_view name) : name_(name) {
  if (name == "rectified_flow") {
    kind_ = Kind::flow;
  } else if (name == "gvp") {
    kind_ = Kind::circle;
  } else if (name == "edm") {
    kind_ = Kind::edm;
  } else if (name == "linear") {
    *this = of_betas(name_, linear_betas(kTimesteps, 0.0001, 0.02));
  } else if (name == "scaled_linear") {
    *this = of_betas(name_, scaled_linear_betas(kTimesteps, 0.00085, 0.012));
  } else if (name == "cosine") {
    *this = of_betas(name_, cosine_betas(kTimesteps));
  } else {
    io::place_of_name("schedule", name, kScheduleNames);  // throws: it has none
  }
}

Schedule Schedule::of_betas(std::string name, const std::vector<double>& betas) {
  if (betas.size() < 2) {
    throw std::invalid_argument(c10::str("schedule: ", betas.size(), " betas, expected at least 2"));
  }
  Schedule schedule(std::move(name), Kind::discrete);
  double product = 1;
  for (std::size_t i = 0; i < betas.size(); ++i) {
    if (!(betas[i] > 0 && betas[i] < 1)) {
      throw std::invalid_argument(
          c10::str("schedule: beta ", i, " is ", betas[i], ", expected 0 < beta < 1"));
    }
    product *= 1 - betas[i];
    schedule.alphas_cumprod_.push_back(product);
    schedule.log_ratios_.push_back(0.5 * std::log((1 - product) / product));
  }
  return schedule;
}

Level Schedule::level(double t) const {
  const double most = in_unit_time() ? 1.0 : kind_ == Kind::discrete ? timesteps() - 1 : 1e30;
  if (!(0 <= t && t <= most)) {
    throw std::invalid_argument(c10::str("schedule ", name_, ": t = ", t, " is outside 0..", most));
  }
  if (kind_ == Kind::flow) return {t, 1 - t, t};
  if (kind_ == Kind::circle) return {t, std::cos(kQuarter * t), std::sin(kQuarter * t)};
  if (kind_ == Kind::edm) return {t, 1, t};

  const auto below = static_cast<std::size_t>(t);
  if (static_cast<double>(below) == t) {
    return {t, std::sqrt(alphas_cumprod_[below]), std::sqrt(1 - alphas_cumprod_[below])};
  }
  const auto table = [&](std::size_t i) { return std::sqrt((1 - alphas_cumprod_[i]) / alphas_cumprod_[i]); };
  const double weight = t - static_cast<double>(below);
  const double between = table(below) + weight * (table(below + 1) - table(below));
  const double alpha = 1 / std::sqrt(between * between + 1);
  return {t, alpha, between * alpha};
}

Level Schedule::at_ratio(double ratio) const {
  if (!(ratio > 0 && std::isfinite(ratio))) {
    throw std::invalid_argument(
        c10::str("schedule ", name_, ": sigma / alpha = ", ratio, ", expected a finite number above 0"));
  }
  if (kind_ == Kind::flow) return {ratio / (1 + ratio), 1 / (1 + ratio), ratio / (1 + ratio)};
  if (kind_ == Kind::circle) return level(std::atan(ratio) / kQuarter);
  if (kind_ == Kind::edm) return {ratio, 1, ratio};

  const double wanted = std::log(ratio);
  const auto above = std::upper_bound(log_ratios_.begin(), log_ratios_.end(), wanted);
  const auto high = std::clamp<std::ptrdiff_t>(above - log_ratios_.begin(), 1, timesteps() - 1);
  const double low_log = log_ratios_[high - 1], high_log = log_ratios_[high];
  const double weight = std::clamp((wanted - low_log) / (high_log - low_log), 0.0, 1.0);
  const double alpha = 1 / std::sqrt(ratio * ratio + 1);
  return {static_cast<double>(high - 1) + weight, alpha, ratio * alpha};
}

Level Schedule::clean() const { return {kind_ == Kind::discrete ? -1.0 : 0.0, 1, 0}; }

double Schedule::noise_fraction(double t) const {
  if (kind_ == Kind::discrete) return t / (timesteps() - 1);
  return in_unit_time() ? t : t / (1 + t);
}

std::span<const std::string_view> schedule_names() { return kScheduleNames; }

}  // namespace switchyard::sampler
