// Opening feature networks by name.
#include "metrics/feature_network.h"

#include <gtest/gtest.h>

#include "../io/scratch.h"

namespace switchyard::metrics {
namespace {

TEST(FeatureNetworkNames, UnknownOnesAreRefusedByName) {
  const auto message = io::message_of<std::invalid_argument>([] { open_network("inceptoin"); });
  EXPECT_TRUE(io::contains(message, "unknown feature network \"inceptoin\""));
}

}  // namespace
}  // namespace switchyard::metrics
