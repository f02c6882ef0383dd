#include "sampler/guidance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <stdexcept>

#include "io/near_misses.h"
#include "sampler/problem.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<std::string_view, 4> kKindNames = {"classifier_free", "rescaled", "cfg_zero_star",
                                                        "adaptive_projected"};  // by enumerator

// One number per image, [N,1,...] in x's dtype. Each image is reduced by itself, in one dimension: a
// reduction of the whole batch may add in an order that depends on its size.
template <class OfImage>
at::Tensor per_image(const at::Tensor& x, const OfImage& of_image) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  const at::Tensor numbers = at::empty(shape, at::kDouble);
  for (std::int64_t i = 0; i < x.size(0); ++i) numbers.data_ptr<double>()[i] = of_image(i);
  return numbers.to(x.options());  // dtype and device
}

double scalar_product(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) * b.to(at::kDouble)).flatten().sum().item<double>();
}

at::Tensor classifier_free(const at::Tensor& c, const at::Tensor& u, double scale) {
  return u + scale * (c - u);
}

at::Tensor rescaled(const at::Tensor& c, const at::Tensor& u, const Guidance& g) {
  const at::Tensor p = classifier_free(c, u, g.scale);  // [N,C,H,W]
  const at::Tensor factor = per_image(p, [&](std::int64_t i) {
    const auto deviation = [](const at::Tensor& image) {
      const at::Tensor centred = image.to(at::kDouble) - image.to(at::kDouble).flatten().mean();
      return std::sqrt(scalar_product(centred, centred));
    };
    const double of_p = deviation(p[i]);
    return of_p > 0 ? g.rescale * deviation(c[i]) / of_p + (1 - g.rescale) : 1.0;
  });
  return p * factor;
}

at::Tensor cfg_zero_star(const at::Tensor& c, const at::Tensor& u, double scale) {
  constexpr double kTiny = 1e-8;  // as published
  const at::Tensor s = per_image(
      u, [&](std::int64_t i) { return scalar_product(c[i], u[i]) / (scalar_product(u[i], u[i]) + kTiny); });
  const at::Tensor su = s * u;   // [N,C,H,W]
  return su + scale * (c - su);  // [N,C,H,W]
}

// D_c and D_u are clean images; `average` is the difference with momentum, kept from call to call.
at::Tensor adaptive_projected(const at::Tensor& d_c, const at::Tensor& d_u, const Guidance& g,
                              at::Tensor& average) {
  at::Tensor difference = d_c - d_u;  // [N,C,H,W]
  if (g.momentum != 0) {
    if (average.defined()) difference = difference + g.momentum * average;
    average = difference;
  }
  if (g.longest > 0) {
    difference = difference * per_image(difference, [&](std::int64_t i) {
                   const double length = std::sqrt(scalar_product(difference[i], difference[i]));
                   return length > g.longest ? g.longest / length : 1.0;
                 });
  }
  const at::Tensor share = per_image(d_c, [&](std::int64_t i) {
    const double square = scalar_product(d_c[i], d_c[i]);
    return square > 0 ? scalar_product(difference[i], d_c[i]) / square : 0.0;
  });
  const at::Tensor parallel = share * d_c;                                         // [N,C,H,W]
  return d_c + (g.scale - 1) * ((difference - parallel) + g.parallel * parallel);  // [N,C,H,W]
}

}  // namespace

std::string_view to_string(GuidanceKind kind) { return kKindNames.at(static_cast<std::size_t>(kind)); }

GuidanceKind guidance_kind_from_name(std::string_view name) {
  return static_cast<GuidanceKind>(io::place_of_name("guidance", name, kKindNames));
}

std::span<const std::string_view> guidance_kind_names() { return kKindNames; }

void validate(const Guidance& g) {
  if (!std::isfinite(g.scale)) {
    throw std::invalid_argument(c10::str("guidance scale is ", g.scale, ", expected a finite number"));
  }
  if (!(0.0 <= g.t_low && g.t_low <= g.t_high && g.t_high <= 1.0)) {
    throw std::invalid_argument(
        c10::str("guidance interval is ", g.t_low, "..", g.t_high, ", expected 0 <= low <= high <= 1"));
  }
  const auto require = [](bool good, const char* name, double value, const char* expected) {
    if (!good)
      throw std::invalid_argument(c10::str("guidance ", name, " is ", value, ", expected ", expected));
  };
  require(g.channels >= 0, "channels", g.channels, "0 (all) or a number of channels");
  require(0 <= g.rescale && g.rescale <= 1, "rescale", g.rescale, "0..1");
  require(g.zero_from > 0 && std::isfinite(g.zero_from), "zero_from", g.zero_from, "a finite number above 0");
  require(std::isfinite(g.parallel), "parallel", g.parallel, "a finite number");
  require(g.longest >= 0 && std::isfinite(g.longest), "longest", g.longest,
          "0 (no bound) or a finite length");
  require(-1 < g.momentum && g.momentum < 1, "momentum", g.momentum, "a number between -1 and 1");
}

bool guidance_active(const Guidance& guidance, double noise_fraction) {
  return guidance.scale != 1.0 && guidance.t_low <= noise_fraction && noise_fraction <= guidance.t_high;
}

PairedDenoiser pair_of(Denoiser conditional, Denoiser other) {
  return [conditional = std::move(conditional), other = std::move(other)](const at::Tensor& x, double t) {
    auto c = conditional(x, t);
    return std::pair(std::move(c), other(x, t));
  };
}

Denoiser guide(Denoiser conditional, PairedDenoiser both, const Guidance& guidance, const Schedule& schedule,
               Prediction prediction) {
  validate(guidance);
  const auto meaning = prediction == Prediction::noise_and_variance ? Prediction::noise : prediction;
  auto average = std::make_shared<at::Tensor>();  // of this run
  return [conditional = std::move(conditional), both = std::move(both), g = guidance, schedule, meaning,
          average](const at::Tensor& x, double t) {
    const double fraction = schedule.noise_fraction(t);
    if (!guidance_active(g, fraction)) return conditional(x, t);
    if (g.kind == GuidanceKind::cfg_zero_star && schedule.is_flow() && meaning == Prediction::velocity &&
        fraction >= g.zero_from) {
      return at::zeros_like(x);
    }
    auto [c_all, u_all] = both(x, t);  // [N,C,H,W] each; [N,2C,H,W] with a variance
    c_all =
        c_all.to(x.scalar_type());  // a difference of half-precision numbers would lose most of its digits
    u_all = u_all.to(x.scalar_type());
    if (c_all.sizes() != u_all.sizes() || c_all.dim() != x.dim() || c_all.size(1) < x.size(1)) {
      throw std::invalid_argument(c10::str("guidance: predictions are ", c_all.sizes(), " and ",
                                           u_all.sizes(), ", expected two of one shape for a state of ",
                                           x.sizes()));
    }
    const auto channels = g.channels == 0 ? x.size(1) : std::min<std::int64_t>(g.channels, x.size(1));
    const at::Tensor c = c_all.narrow(1, 0, channels), u = u_all.narrow(1, 0, channels);

    at::Tensor p;  // [N,channels,H,W]
    switch (g.kind) {
      case GuidanceKind::classifier_free:
        p = classifier_free(c, u, g.scale);
        break;
      case GuidanceKind::rescaled:
        p = rescaled(c, u, g);
        break;
      case GuidanceKind::cfg_zero_star:
        p = cfg_zero_star(c, u, g.scale);
        break;
      case GuidanceKind::adaptive_projected: {
        const Level at = schedule.level(t);
        const at::Tensor z = x.narrow(1, 0, channels);
        const at::Tensor d =
            adaptive_projected(clean_from(meaning, c, z, at), clean_from(meaning, u, z, at), g, *average);
        p = output_from_clean(meaning, d, z, at);
        break;
      }
    }
    if (channels == c_all.size(1)) return p;
    return at::cat({p, c_all.narrow(1, channels, c_all.size(1) - channels)}, 1);
  };
}

}  // namespace switchyard::sampler
