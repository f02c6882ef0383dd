#include "sampler/denoiser.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace switchyard::sampler {
namespace {

TEST(PredictionNames, ReadBackAsTheSamePrediction) {
  EXPECT_EQ(to_string(Prediction::velocity), "velocity");
  EXPECT_EQ(to_string(Prediction::clean_image), "clean_image");
  ASSERT_EQ(prediction_names().size(), 5u);
  for (const auto name : prediction_names()) EXPECT_EQ(to_string(prediction_from_name(name)), name);
}

TEST(PredictionNames, UnknownNameIsRefusedWithTheNearest) {
  try {
    prediction_from_name("velocty");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "unknown prediction \"velocty\"; did you mean \"velocity\"? known: velocity, clean_image, "
                 "noise, noise_and_variance, v");
  }
}

}  // namespace
}  // namespace switchyard::sampler
