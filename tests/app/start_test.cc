// How the program starts, and its threads wait: OpenMP itself says what it was told (OMP_DISPLAY_ENV), when its library is loaded.
#include <gtest/gtest.h>

#include "../io/scratch.h"
#include "program.h"

namespace switchyard::app {
namespace {

int times_said(const std::string& text, const std::string& what) {
  int times = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++times;
  return times;
}

class ShortWaits : public io::Scratch {
 protected:
  Outcome show_settings(std::vector<std::string> environment) const {
    environment.emplace_back("OMP_DISPLAY_ENV=VERBOSE");
    return run({"--version"}, {.folder = file(""), .environment = environment});
  }
};

TEST_F(ShortWaits, AreSetBeforeTheLibrariesStart) {
  const auto shown = show_settings({});
  EXPECT_EQ(shown.code, 0);
  EXPECT_EQ(times_said(shown.err, "OMP_WAIT_POLICY = 'PASSIVE'"), 1) << shown.err;
  EXPECT_EQ(times_said(shown.err, "GOMP_SPINCOUNT = '1000'"), 1) << shown.err;
  EXPECT_EQ(times_said(shown.err, "OMP_WAIT_POLICY"), 1) << "loaded twice: " << shown.err;
  EXPECT_TRUE(shown.out.starts_with("switchyard ")) << shown.out;
}

TEST_F(ShortWaits, LeaveSomeonesOwnSettingsAlone) {
  const auto active = show_settings({"OMP_WAIT_POLICY=active"});
  EXPECT_EQ(times_said(active.err, "OMP_WAIT_POLICY = 'ACTIVE'"), 1) << active.err;
  EXPECT_EQ(times_said(active.err, "GOMP_SPINCOUNT = '1000'"), 0) << active.err;
  const auto spins = show_settings({"GOMP_SPINCOUNT=77"});
  EXPECT_EQ(times_said(spins.err, "GOMP_SPINCOUNT = '77'"), 1) << spins.err;
}

}  // namespace
}  // namespace switchyard::app
