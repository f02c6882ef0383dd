// PyTorch files built to harm: each is refused with a reason, soon, without running anything and within the
// bound on memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "hostile.h"
#include "io/error.h"
#include "io/torch_file.h"
#include "scratch.h"
#include "torch_builder.h"

namespace switchyard::io {
namespace {

class TorchHostileTest : public Scratch {
 protected:
  void expect_refused(const std::vector<Hostile>& files) const {
    std::filesystem::remove(trap());
    for (const Hostile& hostile : files) {
      SCOPED_TRACE(hostile.what);
      const auto bytes = std::make_shared<std::string>(hostile.bytes);
      std::string message;
      std::size_t peak = 0;
      {
        const AllocationCounter counter;
        message = message_of<InputError>(
            [&] { parse_torch_file(std::as_writable_bytes(std::span(*bytes)), bytes, "file.pt"); });
        peak = counter.peak();
      }
      EXPECT_TRUE(message.starts_with("file.pt: ")) << message;
      EXPECT_TRUE(contains(message, hostile.message));
      EXPECT_LT(message.size(), 600u) << message;
      EXPECT_EQ(message.find_first_of("\x1b\n"), message.npos) << message;
      EXPECT_LE(peak, std::max(2 * bytes->size(), std::size_t{1} << 20));
      EXPECT_FALSE(std::filesystem::exists(trap()));
    }
  }
};

TEST_F(TorchHostileTest, NothingIsRun) { expect_refused(hostile_code()); }

TEST_F(TorchHostileTest, ForeignNamesAreReadAsWhatTheyAreAndNotRun) {
  std::filesystem::remove(trap());
  for (const Hostile& foreign : foreign_code()) {
    SCOPED_TRACE(foreign.what);
    const auto bytes = std::make_shared<std::string>(foreign.bytes);
    const auto value = parse_torch_file(std::as_writable_bytes(std::span(*bytes)), bytes, "file.pt");
    EXPECT_TRUE(contains(to_json(value).dump(), foreign.message));
    EXPECT_FALSE(std::filesystem::exists(trap()));
  }
}

TEST_F(TorchHostileTest, MalformedPicklesAreRefused) { expect_refused(hostile_pickles()); }
TEST_F(TorchHostileTest, TensorsOutsideTheirStorageAreRefused) { expect_refused(hostile_tensors()); }
TEST_F(TorchHostileTest, MalformedLegacyFilesAreRefused) { expect_refused(hostile_legacy_files()); }

TEST_F(TorchHostileTest, OtherFilesAreRefused) {
  expect_refused({{"empty", "", "expected a file written by torch.save"},
                  {"text", "hello", "expected a file written by torch.save"},
                  {"a bare pickle", build::pickle("}"), "expected a file written by torch.save"},
                  {"a tar archive", std::string(512, '\0'), "expected a file written by torch.save"}});
}

}  // namespace
}  // namespace switchyard::io
