// Distances of feature sets against those of pytorch-fid, torch-fidelity and prdc.
//
// expected.json's "sets" has the numbers of each set S; distances.safetensors has S.features_1 and S.features_2, their
// moments S.mu_i and S.sigma_i, S.kid_subset_indices_i and S.radius_i_kK. Nothing of a set is known here.
#include <ATen/ATen.h>

#include <algorithm>

#include "fixtures.h"
#include "formula_weights.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/neighbours.h"

namespace switchyard::metrics {
namespace {

struct Set {
  std::string name;
  nlohmann::json expected;
  std::map<std::string, at::Tensor> tensors;  // by their names without the set's

  at::Tensor features(int i) const { return tensors.at(c10::str("features_", i)); }
  Moments moments(int i) const { return moments_of(features(i)); }
};

std::vector<Set> sets() {
  const auto tensors = fixture_tensors("distances.safetensors");
  std::vector<Set> all;
  const auto numbers = expected_numbers();
  for (const auto& [name, expected] : numbers.at("sets").items()) {
    Set set{name, expected, {}};
    for (const auto& [full, tensor] : tensors)
      if (full.starts_with(name + ".")) set.tensors[full.substr(name.size() + 1)] = tensor;
    all.push_back(std::move(set));
  }
  EXPECT_FALSE(all.empty());
  return all;
}

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

TEST(MetricsParity, Moments) {
  Worst worst("moments", 1e-12);
  for (const auto& set : sets()) {
    for (const int i : {1, 2}) {
      const auto suffix = c10::str("_", i);
      if (!set.tensors.contains("mu" + suffix)) continue;
      const auto moments = set.moments(i);
      const auto check = [&](const char* what, const at::Tensor& actual) {
        const auto& expected = set.tensors.at(what + suffix);
        worst.add(set.name + " " + what + suffix, largest(actual - expected) + largest(expected),
                  largest(expected));
      };
      check("mu", moments.mean);
      check("sigma", moments.covariance);
    }
  }
}

TEST(MetricsParity, Frechet) {
  Worst full("Frechet distance", 1e-9), deficient("Frechet distance, fewer rows than dimensions", 1e-6);
  for (const auto& set : sets()) {
    if (!set.expected.contains("fid_eigh")) continue;
    const double expected = set.expected.at("fid_eigh");
    auto& worst = set.features(1).size(0) > set.features(1).size(1) ? full : deficient;
    worst.add(set.name, frechet_distance(set.moments(1), set.moments(2)), expected);
    worst.add(set.name + " swapped", frechet_distance(set.moments(2), set.moments(1)), expected);
    worst.add(set.name + " of rows", FrechetReference(set.moments(1)).distance(set.features(2)), expected);
    EXPECT_NEAR(frechet_distance(set.moments(1), set.moments(1)), 0, 1e-6) << set.name;
  }
}

TEST(MetricsParity, Kernel) {
  Worst worst("kernel distance", 1e-9);
  for (const auto& set : sets()) {
    const auto a = set.features(1), b = set.features(2);
    if (set.expected.contains("kid_full_unbiased_mmd2"))
      worst.add(set.name + " full", kernel_distance(a, b), set.expected.at("kid_full_unbiased_mmd2"));
    if (!set.expected.contains("kid")) continue;
    const auto kid =
        kernel_distance(a, b, set.tensors.at("kid_subset_indices_1"), set.tensors.at("kid_subset_indices_2"));
    worst.add(set.name + " mean", kid.mean, set.expected.at("kid").at("mean"));
    worst.add(set.name + " deviation", kid.deviation, set.expected.at("kid").at("std"));
  }
}

TEST(MetricsParity, Neighbours) {
  Worst shares("precision, recall, density, coverage", 1e-15), radii("neighbour radii", 1e-9);
  for (const auto& set : sets()) {
    for (const auto& [key, expected] : set.expected.items()) {
      if (!key.starts_with("prdc_k")) continue;
      const auto k = std::stoll(key.substr(6));
      const auto found = neighbours(set.features(1), set.features(2), k).value();
      const auto check = [&, &numbers = expected](const char* what, double actual) {
        shares.add(c10::str(set.name, " ", what, " k", k), actual, numbers.at(what));
      };
      check("precision", found.precision);
      check("recall", found.recall);
      check("density", found.density);
      check("coverage", found.coverage);
      for (const int i : {1, 2}) {
        const auto recorded = set.tensors.find(c10::str("radius_", i, "_k", k));
        if (recorded == set.tensors.end()) continue;
        const auto error =
            (squared_radii(set.features(i), k).sqrt() - recorded->second).abs() / recorded->second;
        radii.add(set.name, 1 + error.max().item<double>(), 1);
      }
    }
  }
}

// The logits of "formula", as the fixtures' README defines them.
at::Tensor formula_logits(int64_t n, int64_t classes) {
  auto logits = (6 * formula_numbers("isc.logits", n * classes) - 3).to(at::kFloat).view({n, classes});
  auto* const data = logits.mutable_data_ptr<float>();
  for (int64_t i = 0; i < n; ++i) data[i * classes + (37 * i) % 61] += 7.0f;
  return logits;
}

TEST(MetricsParity, InceptionScore) {
  Worst worst("inception score", 1e-9);
  const auto tensors = fixture_tensors("isc_logits.safetensors");
  const auto all = expected_numbers();
  for (const auto& [name, expected] : all.at("isc").items()) {
    at::Tensor logits;
    if (tensors.contains(name + ".logits")) {
      logits = tensors.at(name + ".logits");
    } else {
      logits = formula_logits(expected.at("n"), expected.at("classes"));
      ASSERT_TRUE(at::equal(logits[0], tensors.at(name + ".first_row")));
      ASSERT_TRUE(at::equal(logits[-1], tensors.at(name + ".last_row")));
    }
    for (const auto& [key, numbers] : expected.items()) {
      const bool first_1000 = key.starts_with("first_1000_classes_");
      const auto at = key.find("splits_");
      if (!numbers.is_object() || at == key.npos) continue;
      const auto score =
          inception_score(first_1000 ? logits.narrow(1, 0, 1000) : logits, std::stoll(key.substr(at + 7)));
      worst.add(name + " " + key + " mean", score.mean, numbers.at("mean"));
      worst.add(name + " " + key + " deviation", 1 + score.deviation, 1 + numbers.at("std").get<double>());
    }
  }
}

}  // namespace
}  // namespace switchyard::metrics
