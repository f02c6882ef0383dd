#include "metrics/feature_set.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "../io/scratch.h"
#include "fake_network.h"
#include "io/npz.h"
#include "metrics/reference.h"

namespace switchyard::metrics {
namespace {

TEST(Gather, KeepsTheOrderOfTheSource) {
  const FakeNetwork network;
  for (const int64_t count : {1, 31, 32, 33, 100}) {
    const NoiseSource source(count, 10);
    const auto set = gather(network, source).value();
    ASSERT_EQ(set.size(), count);
    for (int64_t i = 0; i < count; ++i) {
      const auto image = source.read(i);
      EXPECT_TRUE(at::equal(set.features[i], network({image.pixels}).features[0])) << i;
      EXPECT_EQ(set.labels[i].item<int64_t>(), image.label);
    }
    EXPECT_FALSE(set.spatial.defined());
    EXPECT_FALSE(set.logits.defined());
  }
}

TEST(Gather, WhatIsPushedIsWhatIsRead) {
  const FakeNetwork network(/*with_all=*/true);
  const NoiseSource source(77, 10);
  const Wanted all{.spatial = true, .logits = true};
  const auto read = gather(network, source, {.wanted = all}).value();
  FeatureGatherer gatherer(network, "pushed", all);
  std::vector<at::Tensor> images;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 77; ++i) {
    images.push_back(source.read(i).pixels);
    labels.push_back(i % 3);
    if (i != 2 && i != 70 && i != 76) continue;  // batches of 3, 68 and 6
    gatherer.add(images, labels);
    images.clear();
    labels.clear();
    EXPECT_EQ(gatherer.size(), i + 1);
  }
  const auto pushed = gatherer.finish();
  EXPECT_EQ(pushed.name, "pushed");
  EXPECT_TRUE(at::equal(pushed.features, read.features));
  EXPECT_TRUE(at::equal(pushed.spatial, read.spatial));
  EXPECT_TRUE(at::equal(pushed.logits, read.logits));
  EXPECT_TRUE(at::equal(pushed.labels, read.labels));
  EXPECT_THROW(gatherer.finish(), std::invalid_argument);  // empty again
  EXPECT_THROW(gatherer.add({source.read(0).pixels}, {1, 2}), std::invalid_argument);
}

TEST(Gather, BadImagesAreNamedAndCounted) {
  const FakeNetwork network;
  const NoiseSource source(100, 10, {3, 50, 99});
  const auto message = io::message_of<io::InputError>([&] { gather(network, source); });
  EXPECT_TRUE(io::contains(message, "noise: 3 of 100 images cannot be read:"));
  for (const char* name : {"noise/3: broken", "noise/50: broken", "noise/99: broken"})
    EXPECT_TRUE(io::contains(message, name));

  const auto set = gather(network, source, {.skip_bad = true}).value();
  EXPECT_EQ(set.size(), 97);
  EXPECT_EQ(set.bad.size(), 3u);
  EXPECT_EQ(set.labels.size(0), 97);
  EXPECT_TRUE(at::equal(set.features[3], network({source.read(4).pixels}).features[0]));
}

TEST(Gather, NothingReadableIsAnErrorEvenWhenBadOnesAreSkipped) {
  EXPECT_THROW(gather(FakeNetwork(), NoiseSource(2, 10, {0, 1}), {.skip_bad = true}), io::InputError);
}

TEST(Gather, LongListsOfBadImagesAreCut) {
  std::vector<int64_t> all(200);
  for (int64_t i = 0; i < 200; ++i) all[static_cast<size_t>(i)] = i;
  const auto message =
      io::message_of<io::InputError>([&] { gather(FakeNetwork(), NoiseSource(200, 1, all)); });
  EXPECT_TRUE(io::contains(message, "and 180 more"));
}

TEST(Gather, ProgressCountsAndStops) {
  const FakeNetwork network;
  int64_t last = 0;
  const auto count = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 100);
    EXPECT_GT(done, last);
    last = done;
    return true;
  };
  gather(network, NoiseSource(100, 10), {.progress = count});
  EXPECT_EQ(last, 100);
  EXPECT_FALSE(gather(network, NoiseSource(100, 10), {.progress = [](int64_t, int64_t) { return false; }}));
}

using ReferenceFile = io::Scratch;

TEST_F(ReferenceFile, ComesBackWhole) {
  const FakeNetwork network(/*with_all=*/true);
  const auto set = gather(network, NoiseSource(40, 10), {.wanted = {true, true}}).value();
  write_reference(file("a.npz"), set);
  EXPECT_EQ(statistics_in(file("a.npz")), 5);
  EXPECT_FALSE(images_in(file("a.npz")));
  const auto reference = read_reference(file("a.npz"), network.facts());
  EXPECT_TRUE(reference.network_stated);
  EXPECT_TRUE(at::equal(reference.set->features, set.features));
  EXPECT_TRUE(at::equal(reference.set->spatial, set.spatial));
  EXPECT_TRUE(at::equal(reference.set->logits, set.logits));
  EXPECT_TRUE(at::equal(reference.set->labels, set.labels));
  EXPECT_TRUE(at::equal(reference.moments->covariance, moments_of(set.features).covariance));
  EXPECT_EQ(reference.moments->count, 40);
  EXPECT_TRUE(at::equal(reference.spatial->mean, moments_of(set.spatial).mean));
}

TEST_F(ReferenceFile, OfAnotherNetworkIsRefused) {
  const FakeNetwork network;
  write_reference(file("a.npz"), gather(network, NoiseSource(9, 10)).value());
  auto other = network.facts();
  other.name = "Other";
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] { read_reference(file("a.npz"), other); }),
                           "was made with the network \"Fake\", this is \"Other\""));
  auto weights = network.facts();
  weights.hash = std::string(64, 'b');
  EXPECT_TRUE(io::contains(io::message_of<io::InputError>([&] { read_reference(file("a.npz"), weights); }),
                           "other weights of Fake"));
}

TEST_F(ReferenceFile, OfOthersNeedsSoundStatistics) {
  const FakeNetwork network;
  const auto mean = at::zeros({5}, at::kDouble), covariance = at::eye(5, at::kDouble);
  const auto message = [&](std::map<std::string, at::Tensor> arrays) {
    io::write_npz(file("a.npz"), arrays);
    return io::message_of<io::InputError>([&] { read_reference(file("a.npz"), network.facts()); });
  };
  io::write_npz(file("good.npz"), {{"mu", mean.to(at::kFloat)}, {"sigma", covariance}});
  const auto good = read_reference(file("good.npz"), network.facts());
  EXPECT_FALSE(good.set);
  EXPECT_FALSE(good.network_stated);
  EXPECT_EQ(good.moments->mean.scalar_type(), at::kDouble);

  EXPECT_TRUE(io::contains(message({{"mu", mean}}), "expected the arrays mu and sigma"));
  EXPECT_TRUE(io::contains(message({{"mu", mean}, {"sigma", at::eye(4, at::kDouble)}}), "[D] and [D, D]"));
  EXPECT_TRUE(io::contains(message({{"mu", mean * NAN}, {"sigma", covariance}}), "not all finite"));
  EXPECT_TRUE(io::contains(message({{"mu", mean}, {"sigma", covariance + at::ones({5, 5}).triu(1)}}),
                           "not symmetric"));
  EXPECT_TRUE(io::contains(message({{"mu", mean.narrow(0, 0, 4)}, {"sigma", at::eye(4, at::kDouble)}}),
                           "expected statistics of 5 features of Fake, found 4"));
  EXPECT_TRUE(io::contains(message({{"mu", mean}, {"sigma", covariance}, {"features", at::zeros({3, 4})}}),
                           "expected features of 5 columns"));
  EXPECT_TRUE(io::contains(message({{"mu", mean},
                                    {"sigma", covariance},
                                    {"features", at::zeros({3, 5})},
                                    {"logits", at::zeros({2, 5})}}),
                           "expected logits to be 3 rows"));
}

TEST_F(ReferenceFile, OtherFilesHaveNoStatistics) {
  io::write_npz(file("images.npz"), {{"arr_0", at::zeros({2, 4, 4, 3}, at::kByte)}});
  EXPECT_EQ(statistics_in(file("images.npz")), 0);
  EXPECT_TRUE(images_in(file("images.npz")));
  EXPECT_EQ(statistics_in(file("missing.npz")), 0);
  EXPECT_EQ(statistics_in(file("")), 0);
  EXPECT_THROW(statistics_in(put("broken.npz", "no archive")), io::InputError);
}

}  // namespace
}  // namespace switchyard::metrics
