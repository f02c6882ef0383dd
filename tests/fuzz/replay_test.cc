// The seeds and the kept inputs through the fuzzers' functions, so that neither rots between two runs of
// `make fuzz`.
#include <gtest/gtest.h>

#include "readers.h"

namespace switchyard::fuzz {
namespace {

class ReplayTest : public ::testing::TestWithParam<Reader> {
 protected:
  void replay(const std::vector<std::string>& inputs, const std::string& what) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      try {
        ++(GetParam().read(std::as_bytes(std::span(inputs[i]))) ? read_ : refused_);
      } catch (const std::exception& error) {
        ADD_FAILURE() << what << i + 1 << ": " << error.what();
      }
    }
  }
  int read_ = 0, refused_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Readers, ReplayTest, ::testing::ValuesIn(kReaders),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(ReplayTest, SeedsAreReadOrRefused) {
  replay(GetParam().seeds(), "seed ");
  EXPECT_GE(read_, 3);
  EXPECT_GE(refused_, 20);
}

TEST_P(ReplayTest, KeptInputsAreReadOrRefused) {
  replay(kept_inputs(GetParam()), "line ");
  EXPECT_GE(read_ + refused_, 5);
}

}  // namespace
}  // namespace switchyard::fuzz
