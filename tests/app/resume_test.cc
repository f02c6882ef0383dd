// Training that is killed again and again ends where the unbroken run ends.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "../io/scratch.h"
#include "io/safetensors.h"
#include "program.h"

namespace switchyard::app {
namespace {

using Clock = std::chrono::steady_clock;

class Resume : public io::Scratch {
 protected:
  // 400 steps with a checkpoint after each.
  Outcome train(const std::string& name, std::function<bool()> kill_when = {}) const {
    return run({"train", "--preset", "tiny", "--images", "3200", "--checkpoint-seconds", "0",
                "--images-per-sheet", "0", "--out", file(name).string()},
               {.folder = file(""), .interrupt_when = std::move(kill_when), .interrupt_signal = SIGKILL});
  }

  // The log without its speed column, the only one that depends on the clock.
  std::string log_of(const std::string& run) const {
    std::istringstream rows(text_of(file(run) / "log.csv"));
    std::string kept;
    for (std::string row; std::getline(rows, row);) {
      std::istringstream fields(row);
      std::string field;
      for (int i = 0; std::getline(fields, field, ','); ++i) {
        if (i != 6) kept += field + ',';
      }
      kept += '\n';
    }
    return kept;
  }
};

TEST_F(Resume, TwentyKillsAtRandomMomentsLeaveNoTrace) {
  constexpr int kKills = 20;
  ASSERT_EQ(train("unbroken").code, 0);

  // Half of the kills come at any moment of the start, half a random time after the process wrote some
  // checkpoints: while it computes, or writes a checkpoint, the model or the log. None lets it write more
  // than about ten, so that the run outlives them all on any machine.
  std::mt19937 random(1);
  const auto draw = [&](double most) { return std::uniform_real_distribution<double>(0.0, most)(random); };
  const auto checkpoint = file("broken") / "checkpoint.safetensors";
  for (int kill = 0; kill < kKills; ++kill) {
    const bool at_start = kill % 2 == 0;
    const double seconds = draw(at_start ? 0.8 : 0.02);
    const int enough = at_start ? 8 : 1 + static_cast<int>(draw(7));
    std::error_code none;
    auto last_write = std::filesystem::last_write_time(checkpoint, none);
    int written = 0;
    auto since = Clock::now();  // of the start, or of the last checkpoint waited for
    const auto outcome = train("broken", [&] {
      const auto write = std::filesystem::last_write_time(checkpoint, none);
      if (write != last_write && ++written == enough && !at_start) since = Clock::now();
      last_write = write;
      const bool waited = std::chrono::duration<double>(Clock::now() - since).count() >= seconds;
      return at_start ? waited || written >= enough : waited && written >= enough;
    });
    ASSERT_EQ(outcome.code, -SIGKILL) << "kill " << kill << " came too late: " << outcome.err;
  }
  const auto last = train("broken");
  ASSERT_EQ(last.code, 0) << last.err;

  const auto a = io::read_safetensors(file("unbroken") / "checkpoint.safetensors");
  const auto b = io::read_safetensors(file("broken") / "checkpoint.safetensors");
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(at::equal(tensor, b.tensors.at(name))) << name;
  EXPECT_EQ(log_of("unbroken"), log_of("broken"));
}

}  // namespace
}  // namespace switchyard::app
