#include "metrics/comparison.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "../io/scratch.h"
#include "data/random.h"
#include "fake_network.h"
#include "metrics/frechet.h"
#include "metrics/report.h"

namespace switchyard::metrics {
namespace {

FeatureSet set_of(int64_t n, double shift, uint64_t seed, bool with_all = false) {
  const auto features = (data::normal_numbers(n, 5, seed) + shift).to(at::kFloat);
  FeatureSet set{
      "set " + std::to_string(seed), FakeNetwork().facts(), features, {}, {}, at::zeros({n}, at::kLong), {}};
  if (with_all) {
    set.spatial = features * 2;
    set.logits = features;
  }
  return set;
}

Reference reference_of(FeatureSet set) {
  Reference reference;
  reference.name = set.name;
  reference.set = std::move(set);
  return reference;
}

const Measurement& found(const Comparison& comparison, const std::string& key) {
  const auto at = std::ranges::find(comparison.measurements, key, &Measurement::key);
  if (at == comparison.measurements.end()) throw std::out_of_range("no measurement " + key);
  return *at;
}

TEST(Comparison, EveryNumberWithErrorFloorAndCounts) {
  const auto images = set_of(500, 0.5, 1, true);
  const auto reference = reference_of(set_of(1200, 0, 2, true));
  const auto comparison = compare(images, reference).value();
  for (const char* key : {"frechet", "frechet-at-infinity", "spatial-frechet", "kernel", "inception-score",
                          "precision", "recall", "density", "coverage", "sliced-wasserstein"}) {
    SCOPED_TRACE(key);
    const auto& measured = found(comparison, key);
    EXPECT_TRUE(std::isfinite(measured.value));
    EXPECT_EQ(measured.count, 500);
  }
  const auto& frechet = found(comparison, "frechet");
  EXPECT_EQ(frechet.name, "FD-Fake");
  EXPECT_NEAR(frechet.value,
              frechet_distance(moments_of(reference.set->features), moments_of(images.features)), 1e-9);
  EXPECT_EQ(frechet.reference_count, 1200);
  EXPECT_EQ(frechet.floor_count, 500);  // two halves of as many as the set has
  EXPECT_GT(*frechet.error, 0);
  EXPECT_LT(*frechet.floor, 0.2);
  EXPECT_GT(*frechet.ratio, 5);
  EXPECT_NEAR(found(comparison, "frechet-at-infinity").value, 5 * 0.25, 0.4);
  EXPECT_EQ(found(comparison, "spatial-frechet").name, "sFD-Fake");
  EXPECT_NEAR(found(comparison, "spatial-frechet").value, 4 * frechet.value, 1e-6);
  EXPECT_EQ(found(comparison, "kernel").settings.substr(0, 18), "100 subsets of 250");
  EXPECT_FALSE(found(comparison, "kernel").ratio);
  EXPECT_EQ(comparison.warnings.size(), 2u);  // few images, few reference images
}

TEST(Comparison, RealAgainstRealIsAtItsFloor) {
  const auto comparison = compare(set_of(600, 0, 1), reference_of(set_of(1200, 0, 2))).value();
  EXPECT_NEAR(*found(comparison, "frechet").ratio, 1, 0.5);
  EXPECT_NEAR(*found(comparison, "sliced-wasserstein").ratio, 1, 0.5);
  EXPECT_NEAR(found(comparison, "kernel").value, 0, 4 * *found(comparison, "kernel").error);
  EXPECT_GT(found(comparison, "precision").value, 0.9);
}

TEST(Comparison, HalvesAreHalvesWhereTheReferenceIsSmall) {
  const auto comparison = compare(set_of(600, 0, 1), reference_of(set_of(301, 0, 2))).value();
  EXPECT_EQ(found(comparison, "frechet").floor_count, 150);
}

TEST(Comparison, StatisticsAloneGiveFrechetDistances) {
  const auto real = set_of(3000, 0, 2, true);
  Reference reference;
  reference.name = "file";
  reference.moments = moments_of(real.features);
  reference.moments->count = 0;
  reference.network_stated = false;
  const auto images = set_of(3000, 1, 1, true);
  const auto comparison = compare(images, reference).value();
  EXPECT_EQ(found(comparison, "frechet").reference_count, 0);
  EXPECT_FALSE(found(comparison, "frechet").floor);
  EXPECT_THROW(found(comparison, "kernel"), std::out_of_range);
  EXPECT_THROW(found(comparison, "spatial-frechet"), std::out_of_range);
  ASSERT_EQ(comparison.warnings.size(), 1u);
  EXPECT_TRUE(io::contains(comparison.warnings[0], "does not say which network"));
  EXPECT_TRUE(io::contains(
      io::message_of<std::invalid_argument>([&] { compare(images, reference, {.metrics = {"kernel"}}); }),
      "\"kernel\" cannot be computed: the reference has statistics only"));
}

TEST(Comparison, OnlyWhatWasAskedFor) {
  const auto images = set_of(50, 0, 1), real = set_of(60, 0, 2);
  const auto comparison = compare(images, reference_of(real), {.metrics = {"kernel"}}).value();
  EXPECT_EQ(comparison.measurements.size(), 1u);
  EXPECT_TRUE(io::contains(io::message_of<std::invalid_argument>([] { check_metrics({"frechte"}); }),
                           "did you mean \"frechet\""));
  EXPECT_THROW(compare(images, reference_of(real), {.metrics = {"inception-score"}}), std::invalid_argument);
  EXPECT_TRUE(wanted_for({}).spatial && wanted_for({}).logits);
  EXPECT_FALSE(wanted_for({"kernel"}).spatial || wanted_for({"kernel"}).logits);
}

TEST(Comparison, SetsOfAFewImagesGiveNumbersOrNone) {
  for (const int64_t n : {1, 2, 3, 4, 5, 11}) {
    const auto comparison = compare(set_of(n, 0, 1, true), reference_of(set_of(n, 1, 2, true))).value();
    for (const auto& measured : comparison.measurements)
      EXPECT_TRUE(std::isfinite(measured.value)) << measured.key << n;
    EXPECT_FALSE(text_of(comparison).empty());
  }
}

TEST(Comparison, ProgressGrowsAndStops) {
  const auto images = set_of(100, 0, 1), real = set_of(100, 0, 2);
  double last = 0;
  CompareOptions options;
  options.progress = [&](double done, const std::string&) {
    EXPECT_GE(done, last - 1e-9);
    EXPECT_LE(done, 1);
    last = done;
    return true;
  };
  EXPECT_TRUE(compare(images, reference_of(real), options));
  EXPECT_GT(last, 0.8);
  int calls = 0;
  options.progress = [&](double, const std::string&) { return ++calls < 30; };
  EXPECT_FALSE(compare(images, reference_of(real), options));
  EXPECT_EQ(calls, 30);
}

TEST(Report, TextSaysWhatStandsBesideANumber) {
  auto images = set_of(2500, 1, 1);
  images.bad = {"x.png: broken"};
  const auto comparison = compare(images, reference_of(set_of(5000, 0, 2))).value();
  const auto text = text_of(comparison);
  for (const char* part :
       {"set 1, 2,500", "set 2, 5,000", "Fake (fake.pth, SHA-256 aaaaaaaaaaaa), 5 features",
        "to 8, none at all", "0 .. 255", "FD-Fake", "KD-Fake x 1000", "k = 3", "real/real",
        "1 images could not be read"})
    EXPECT_TRUE(io::contains(text, part));
  const auto json = json_of(comparison);
  EXPECT_EQ(json.at("numbers").size(), comparison.measurements.size());
  for (const auto& number : json.at("numbers")) {
    for (const char* field :
         {"value", "network", "resize", "range", "images", "reference_images", "standard_error"})
      EXPECT_TRUE(number.contains(field)) << field;
  }
}

TEST(Report, TableHasARowPerLabel) {
  const auto reference = reference_of(set_of(400, 0, 2));
  const CompareOptions options{.metrics = {"frechet", "precision-recall"}, .infinity = false};
  const std::vector<Row> rows = {{"whole", compare(set_of(100, 0, 1), reference, options).value()},
                                 {"expert 3 muted", compare(set_of(100, 1, 3), reference, options).value()}};
  const auto table = markdown_of(rows, "model");
  EXPECT_TRUE(table.starts_with(
      "| model | FD-Fake | precision | recall | density | coverage |\n|---|---|---|---|---|---|\n"))
      << table;
  for (const char* part :
       {"| whole |", "| expert 3 muted |", "| real against real |", "100 images each against 400"})
    EXPECT_TRUE(io::contains(table, part));
  EXPECT_EQ(json_of(rows).at(1).at("label"), "expert 3 muted");
  EXPECT_EQ(markdown_of({}, "model"), "");
}

TEST(Report, Digits) {
  const std::vector<std::pair<double, std::string>> cases = {{0, "0.0000"},
                                                             {1.23456, "1.2346"},
                                                             {-12.345, "-12.35"},
                                                             {1234.56, "1234.6"},
                                                             {0.00012349, "0.0001235"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(digits(value), text);
  EXPECT_EQ(thousands(0), "0");
  EXPECT_EQ(thousands(999), "999");
  EXPECT_EQ(thousands(1234567), "1,234,567");
}

}  // namespace
}  // namespace switchyard::metrics
