// Training that is killed again and again ends where the unbroken run ends.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <optional>
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
  // 240 steps with a checkpoint after each.
  Outcome train(const std::string& name, std::function<bool()> kill_when = {}) const {
    return run({"train", "--preset", "tiny", "--images", "1920", "--checkpoint-seconds", "0", "--images-per-sheet", "0", "--out",
                file(name).string()},
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

  // Half of the kills come at any moment of the start, half up to some steps after the process wrote its first checkpoint:
  // while it computes, writes a checkpoint, the model or the log.
  std::mt19937 random(1);
  std::uniform_real_distribution<double> share(0.0, 1.0);
  const auto checkpoint = file("broken") / "checkpoint.safetensors";
  for (int kill = 0; kill < kKills; ++kill) {
    std::error_code none;
    const auto last_write = std::filesystem::last_write_time(checkpoint, none);
    std::optional<Clock::time_point> start;
    if (kill % 2 == 0) start = Clock::now();
    const double delay = share(random) * (kill % 2 == 0 ? 0.8 : 0.15);
    const auto outcome = train("broken", [&] {
      if (!start && std::filesystem::last_write_time(checkpoint, none) != last_write) start = Clock::now();
      return start && std::chrono::duration<double>(Clock::now() - *start).count() >= delay;
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
