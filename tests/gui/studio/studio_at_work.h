// A studio and someone who waits for it, as the window does: woken, not spinning.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../../io/scratch.h"
#include "app/gui/studio/studio.h"
#include "dit/model_file.h"

namespace switchyard::studio {

class StudioAtWork : public io::Scratch {
 protected:
  StudioAtWork() { start(); }

  // A new one, as after a start of the program.
  void start(StudioOptions options = {}) {
    studio_.reset();
    options.remembered = file("config/studio.json");
    options.wake = [this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      came_.notify_one();
    };
    studio_ = std::make_unique<Studio>(std::move(options));
  }

  Studio& studio() { return *studio_; }

  ::testing::AssertionResult until(const std::function<bool()>& holds, double seconds = 120) {
    using Clock = std::chrono::steady_clock;
    const auto end =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    while (true) {
      studio_->poll();
      if (holds()) return ::testing::AssertionSuccess();
      std::unique_lock lock(mutex_);
      if (!came_.wait_until(lock, end, [this] { return woken_; }))
        return ::testing::AssertionFailure() << "nothing came; last: " << studio_->status().text;
      woken_ = false;
    }
  }

  void open_embedded() {
    studio_->open_embedded();
    ASSERT_TRUE(until([&] { return !studio_->opening(); }));
    ASSERT_NE(studio_->model(), nullptr) << studio_->status().text;
    studio_->form.fresh_seed = false;
    studio_->form.seed = 7;
    studio_->form.settings.grid.steps = 3;
  }

  // Draws what the form says, to the end; its id.
  int64_t drawn() {
    const auto id = studio_->draw();
    EXPECT_TRUE(id) << studio_->status().text;
    EXPECT_TRUE(ended(id.value_or(-1)));
    return id.value_or(-1);
  }
  ::testing::AssertionResult ended(int64_t id) {
    return until([&] { return studio_->run(id) == nullptr || studio_->run(id)->ended(); });
  }

  // A model of 32 x 32 pixels and one layer's worth of time.
  std::filesystem::path tiny_model(const std::string& name, const char* preset = "tiny") {
    dit::DiffusionTransformer model(dit::preset(preset));
    dit::initialize(model, 1);
    std::filesystem::create_directories(file(name).parent_path());
    dit::save_model(file(name), model, "{}");
    return file(name);
  }

  void expect_error(const std::string& part) {
    EXPECT_EQ(studio_->status().kind, Status::Kind::error) << studio_->status().text;
    EXPECT_TRUE(io::contains(studio_->status().text, part));
  }

  // What lies in a folder, sorted.
  std::vector<std::string> names_in(const std::string& folder) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(file(folder)))
      found.push_back(entry.path().filename());
    std::ranges::sort(found);
    return found;
  }

  void end() { studio_.reset(); }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  bool woken_ = false;
  std::unique_ptr<Studio> studio_;
};

}  // namespace switchyard::studio
