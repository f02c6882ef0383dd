#include "sampler/denoiser.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace switchyard::sampler {
namespace {

TEST(PredictionNames, ReadBackAsTheSamePrediction) {
  EXPECT_EQ(to_string(Prediction::velocity), "velocity");
  EXPECT_EQ(to_string(Prediction::clean_image), "clean_image");
  for (const Prediction p : {Prediction::velocity, Prediction::clean_image}) {
    EXPECT_EQ(prediction_from_name(to_string(p)), p);
  }
}

TEST(PredictionNames, UnknownNameIsRefusedWithTheNearest) {
  try {
    prediction_from_name("velocty");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "unknown prediction \"velocty\"; did you mean \"velocity\"? known: velocity, clean_image");
  }
}

}  // namespace
}  // namespace switchyard::sampler
