// The linear classifier of class agreement: what it finds, and what it refuses. (Its numbers on solids: docs.)
#include "metrics/class_agreement.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "../kernels/compare.h"

namespace switchyard::metrics {
namespace {

struct Set {
  at::Tensor features, labels;
};

// Clouds around a centre per class, of features whose scales differ a thousandfold; one feature never changes.
Set clouds(int64_t n, int64_t classes, int64_t dimension, double spread, uint64_t seed) {
  const auto centres = kernels::random({classes, dimension}, 1);
  const auto labels = at::arange(n) % classes;
  auto features = centres.index_select(0, labels) + spread * kernels::random({n, dimension}, seed);
  features = features * at::logspace(-2, 1, dimension) + 7;
  features.select(1, 0).fill_(3);
  return {features, labels};
}

struct Case {
  int64_t n, classes, dimension;
};

class Classifier : public ::testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Sizes, Classifier,
                         ::testing::Values(Case{7, 7, 33}, Case{97, 3, 31}, Case{200, 10, 320},
                                           Case{1000, 2, 5}));

TEST_P(Classifier, TellsCloudsApart) {
  const auto [n, classes, dimension] = GetParam();
  const auto training = clouds(n, classes, dimension, 0.1, 2),
             unseen = clouds(500, classes, dimension, 0.1, 3);
  const LinearClassifier classifier(training.features, training.labels, classes);
  EXPECT_GE(classifier.agreement(unseen.features, unseen.labels), 0.99);
  const auto wrong = (unseen.labels + 1) % classes;
  EXPECT_LE(classifier.agreement(unseen.features, wrong), 0.01);
}

TEST(ClassAgreement, CountsPicturesOfTheWrongClass) {
  const auto training = clouds(400, 4, 64, 0.1, 2), drawn = clouds(100, 4, 64, 0.1, 3);
  const LinearClassifier classifier(training.features, training.labels, 4);
  auto labels = drawn.labels.clone();
  labels.narrow(0, 0, 25).copy_((labels.narrow(0, 0, 25) + 1) % 4);  // asked for something else
  EXPECT_DOUBLE_EQ(classifier.agreement(drawn.features, labels), 0.75);
  EXPECT_DOUBLE_EQ(classifier.agreement(drawn.features, at::full({100}, -1)), 0) << "unknown is not right";
}

TEST(ClassAgreement, IsAtChanceWhereFeaturesSayNothing) {
  const auto labels = at::arange(2000) % 5;
  const LinearClassifier classifier(kernels::random({2000, 16}, 1), labels, 5);
  EXPECT_NEAR(classifier.agreement(kernels::random({2000, 16}, 2), labels), 0.2, 0.05);
}

TEST(ClassAgreement, TheSameImagesGiveTheSameClassifier) {
  const auto set = clouds(300, 6, 128, 2.0, 4), unseen = clouds(300, 6, 128, 2.0, 5);
  const LinearClassifier first(set.features, set.labels, 6), second(set.features, set.labels, 6);
  EXPECT_TRUE(at::equal(first.predicted(unseen.features), second.predicted(unseen.features)));
}

TEST(ClassAgreement, RefusesWhatIsNotLabelled) {
  const auto set = clouds(20, 4, 8, 1.0, 6);
  EXPECT_THROW(LinearClassifier(set.features, set.labels, 3), std::invalid_argument) << "label 3 of 0 .. 2";
  EXPECT_THROW(LinearClassifier(set.features, set.labels - 1, 4), std::invalid_argument) << "unknown label";
  EXPECT_THROW(LinearClassifier(set.features, set.labels.narrow(0, 0, 19), 4), std::invalid_argument);
  EXPECT_THROW(LinearClassifier(set.features.to(at::kDouble), set.labels, 4), std::invalid_argument);
  EXPECT_THROW(LinearClassifier(set.features.narrow(0, 0, 0), set.labels.narrow(0, 0, 0), 4),
               std::invalid_argument);
  const LinearClassifier classifier(set.features, set.labels, 4);
  EXPECT_THROW(classifier.predicted(set.features.narrow(1, 0, 7)), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::metrics
