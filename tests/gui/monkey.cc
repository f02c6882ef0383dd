// Somebody without a plan: random events into the window's own queue, in front of the real app.
//
//   monkey [EVENTS] [SEED]     default: 1000 events of seed 1
//
// `make monkey-asan` and `make monkey-tsan` run it under the sanitizers, monkey.sh on a display that nobody sees.
// Mouse, wheel, keys, text, files good and wrong, sizes of the window, themes and scales. It ends with 0 where the app is
// still there; an assertion, a sanitizer or thirty seconds without a frame end it before that, and the last line of its
// output says at which event.
#include <ATen/ATen.h>
#include <imgui.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "../pipeline/planted_model.h"
#include "app/gui/app.h"
#include "dit/model_file.h"
#include "io/png.h"

namespace {

using namespace switchyard;
namespace fs = std::filesystem;

class Monkey {
 public:
  Monkey(uint32_t seed, const fs::path& folder) : random_(seed), folder_(folder) {
    start();
    make_files();
  }

  void play(int events) {
    for (int i = 0; i < events; ++i) {
      alarm(30);
      act();
      // As many events as come between two frames, and now and then what the worker brings.
      if (one_of(3) == 0) {
        app_->turn();
      } else if (one_of(2) == 0) {
        app_->draw();
      }
      if (i % 100 == 99) {
        std::printf("%d events, %zu runs, %dx%d, scale %.2f; %s\n", i + 1, app_->studio.runs().size(), width_,
                    height_, static_cast<double>(app_->ui.theme.scale), app_->studio.status().text.c_str());
        std::fflush(stdout);
        const auto parts = app_->window.pixels();
        app_->window.repaint();
        if (!at::equal(parts, app_->window.pixels()))
          throw std::logic_error("a part of the window is out of date");
        app_->studio.cancel_all();  // what takes long would be all that it sees
        forget_most();
      }
      if (app_->window.closing()) start();  // it found the way out
    }
    app_.reset();
    alarm(0);
  }

 private:
  void start() {
    app_.reset();
    app_.emplace(gui::AppOptions{.window = {.width = 1280, .height = 800}});
    app_->studio.remembered.hint_seen = one_of(2) == 0;
    app_->studio.open_embedded();
    while (app_->studio.opening()) app_->turn();
    app_->studio.form.settings.grid.steps = 3;
  }

  // Everything that may be dropped on it.
  void make_files() {
    fs::create_directories("pictures");
    app_->studio.draw();
    while (app_->studio.drawing() || app_->studio.waiting()) app_->turn();
    app_->studio.save(app_->studio.runs().back().id, "pictures");
    for (const auto& entry : fs::directory_iterator("pictures")) files_.push_back(entry.path());
    io::write_png("not-ours.png", at::randint(0, 256, {5, 7, 3}, at::kByte));
    auto model = pipeline::planted_model();
    dit::save_model("planted.safetensors", model, "{}");
    std::ofstream("broken.safetensors") << "nothing of the kind";
    std::ofstream("broken.png") << "\x89PNG\r\n\x1a\n and no more";
    std::ofstream("empty");
    std::ofstream("recipe.json") << R"([{"layers": [2], "experts": [0], "action": "mute"}])";
    std::ofstream("broken.json") << R"([{"layers": [999], "experts": ["x"]}])";
    for (const char* name : {"not-ours.png", "planted.safetensors", "broken.safetensors", "broken.png",
                             "empty", "recipe.json", "broken.json", "pictures", "no-such-file"}) {
      files_.push_back(folder_ / name);
    }
  }

  void forget_most() {
    while (app_->studio.runs().size() > 8) app_->studio.forget(app_->studio.runs().front().id);
  }

  int one_of(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }
  template <class List>
  auto any(const List& list) {
    return list[static_cast<size_t>(one_of(static_cast<int>(std::size(list))))];
  }

  void act() {
    auto& io = ImGui::GetIO();
    const int kind = one_of(100);
    if (kind < 35) {
      x_ = static_cast<float>(one_of(width_)), y_ = static_cast<float>(one_of(height_));
      io.AddMousePosEvent(x_, y_);
    } else if (kind < 60) {
      const int button = one_of(5) == 0 ? 1 : 0;
      if (one_of(4) == 0) {  // a drag that ends some events later
        io.AddMouseButtonEvent(button, down_[button] = !down_[button]);
      } else {
        io.AddMouseButtonEvent(button, true), io.AddMouseButtonEvent(button, down_[button] = false);
      }
    } else if (kind < 66) {
      io.AddMouseWheelEvent(0, static_cast<float>(one_of(7) - 3));
    } else if (kind < 84) {
      press();
    } else if (kind < 92) {
      // No slash or dot: what it saves stays in its own folder.
      constexpr std::string_view kText = "0123456789-+eabcxyz ,";
      for (int i = one_of(4); i >= 0; --i) io.AddInputCharacter(static_cast<unsigned>(any(kText)));
    } else if (kind < 94) {
      app_->window.drop({any(files_)});
    } else if (kind < 96) {
      constexpr std::pair<int, int> kSizes[] = {
          {1280, 800}, {900, 700}, {640, 480}, {1920, 1200}, {1023, 517}};
      std::tie(width_, height_) = any(kSizes);
      app_->window.resize(width_, height_);
    } else if (kind < 97) {
      constexpr double kScales[] = {0, 0.5, 0.75, 1, 1.5, 2};
      app_->studio.remembered.scale = any(kScales);
    } else if (kind < 98) {
      app_->studio.remembered.theme = one_of(2) ? "light" : "dark";
    } else if (kind < 99) {
      io.AddFocusEvent(false), io.AddFocusEvent(true);
    } else {
      app_->studio.form.settings.grid.steps = 2 + one_of(6), app_->studio.form.count = 1 + one_of(3);
    }
  }

  void press() {
    constexpr ImGuiKey kKeys[] = {
        ImGuiKey_Enter,     ImGuiKey_Escape,     ImGuiKey_Space,   ImGuiKey_Tab,       ImGuiKey_F1,
        ImGuiKey_LeftArrow, ImGuiKey_RightArrow, ImGuiKey_UpArrow, ImGuiKey_DownArrow, ImGuiKey_Delete,
        ImGuiKey_Backspace, ImGuiKey_Home,       ImGuiKey_End,     ImGuiKey_PageUp,    ImGuiKey_PageDown,
        ImGuiKey_A,         ImGuiKey_C,          ImGuiKey_V,       ImGuiKey_X,         ImGuiKey_Z,
        ImGuiKey_O,         ImGuiKey_Equal,      ImGuiKey_Minus,   ImGuiKey_0};
    constexpr ImGuiKey kModifiers[] = {ImGuiMod_None, ImGuiMod_None, ImGuiMod_Ctrl, ImGuiMod_Shift};
    auto& io = ImGui::GetIO();
    const auto key = any(kKeys), modifier = any(kModifiers);
    if (modifier != ImGuiMod_None) io.AddKeyEvent(modifier, true);
    io.AddKeyEvent(key, true), io.AddKeyEvent(key, false);
    if (modifier != ImGuiMod_None) io.AddKeyEvent(modifier, false);
  }

  std::mt19937 random_;
  const fs::path folder_;
  std::optional<gui::App> app_;
  std::vector<fs::path> files_;
  int width_ = 1280, height_ = 800;
  float x_ = 0, y_ = 0;
  bool down_[2] = {};
};

}  // namespace

int main(int argc, char** argv) {
  const int events = argc > 1 ? std::atoi(argv[1]) : 1000;
  const auto seed = static_cast<uint32_t>(argc > 2 ? std::atoi(argv[2]) : 1);
  std::printf("%d events of seed %u\n", events, seed);
  std::fflush(stdout);
  // Deep enough that it has a way to go before what it saves by a path upwards is anywhere.
  const auto root = fs::temp_directory_path() / ("switchyard-monkey-" + std::to_string(getpid()));
  const auto folder = root / "a" / "b" / "c";
  fs::create_directories(folder);
  fs::current_path(folder);
  Monkey(seed, folder).play(events);
  fs::current_path(fs::temp_directory_path());
  fs::remove_all(root);
  std::printf("still there after %d events\n", events);
}
