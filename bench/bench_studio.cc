// What the desktop app's logic costs, without its window: opening, watching a run, taking in its events, and each view.
//
//   bench_studio [STEPS]      default: 20
//
// The run is drawn watched (previews, probabilities, every routing, taken in as the window does) and unwatched, in
// turn; least times of three. Views are of a record as large as they come: 16 images of 50 steps of DiT-MoE XL/2 (28
// layers, 256 tokens, 8 experts), random.
#include <ATen/ATen.h>
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "app/gui/studio/colors.h"
#include "app/gui/studio/model_files.h"
#include "app/gui/studio/studio.h"
#include "pipeline/routing_views.h"
#include "timing.h"

namespace {

using namespace switchyard;

// Least of several: by the clock, and of all threads' work, which others on the machine disturb less.
struct Cost {
  double seconds = 1e9, processors = 1e9;

  void least(const std::function<void()>& run) {
    const auto before = std::clock();
    seconds = std::min(seconds, timing::seconds(run));
    processors = std::min(processors, static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC);
  }
};

void wait(studio::Studio& studio, std::vector<double>& polls, const std::function<bool()>& done) {
  while (!done()) {
    const double seconds = timing::seconds([&] { studio.poll(); });
    if (seconds > 20e-6) polls.push_back(seconds);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void time_drawing(int steps) {
  studio::Studio studio({});
  std::vector<double> polls;
  const double opening = timing::seconds([&] {
    studio.open_embedded();
    wait(studio, polls, [&] { return studio.model() != nullptr; });
  });
  std::printf("open the embedded model      %7.1f ms\n", 1e3 * opening);

  polls.clear();
  studio.form.settings.grid.steps = steps;
  pipeline::Session session({.model = studio::embedded_model()});
  session.load();
  Cost watched, unwatched;
  for (int i = 0; i < 3; ++i) {
    std::optional<int64_t> id;
    watched.least([&] {
      id = studio.draw();
      if (!id) {
        std::fprintf(stderr, "%s\n", studio.status().text.c_str());
        std::exit(1);
      }
      wait(studio, polls, [&] { return studio.run(*id)->ended(); });
    });
    pipeline::Observer observer;
    observer.image_finished = [](const auto&) { return true; };
    // On a thread as the worker's: the main one gets its memory in another way.
    unwatched.least([&] { std::thread([&] { session.draw(studio.run(*id)->request, observer); }).join(); });
  }
  std::ranges::sort(polls);
  std::printf(
      "draw an image, %4d steps     %7.1f ms unwatched, %.1f ms watched: %+.1f %%; of processors %+.1f %%\n",
      steps, 1e3 * unwatched.seconds, 1e3 * watched.seconds, 100 * (watched.seconds / unwatched.seconds - 1),
      100 * (watched.processors / unwatched.processors - 1));
  std::printf("poll, where something came   %7.2f ms median, %.2f ms 95th percentile, %.2f ms most\n",
              1e3 * polls[polls.size() / 2], 1e3 * polls[polls.size() * 95 / 100], 1e3 * polls.back());
}

void time_views() {
  dit::ModelConfig config = dit::preset("dit-moe-xl/2-8e2a");
  pipeline::Request request;
  request.settings.grid.steps = 50;
  for (int64_t i = 0; i < 16; ++i) request.images.push_back({i, 0});
  pipeline::RoutingRecord record(config, request, pipeline::Router::tokens, /*keep_probabilities=*/true);
  record.experts.random_(0, config.num_experts);
  record.gate_weights.fill_(0.5);
  record.evaluated.fill_(true);
  const auto print = [](const char* what, const std::function<void()>& view) {
    double least = 1e9;
    for (int i = 0; i < 3; ++i) least = std::min(least, timing::seconds(view));
    std::printf("%-28s %7.2f ms\n", what, 1e3 * least);
  };
  using pipeline::Measure;
  const pipeline::Place place{3, 20, 10};
  const pipeline::Span one{.images = {3}, .first_step = 20, .last_step = 20}, all{};
  pipeline::StepRouting event;
  event.images = 16;
  event.tokens = {at::rand({28, 16, 256, 8}), at::rand({28, 16, 256, 8})};
  print("take in a step's routing", [&] { record.add(event); });
  print("patch map", [&] { patch_map(record, place, 2, Measure::weight); });
  print("winners", [&] { winner_map(record, place); });
  print("margins", [&] { margins(record, place); });
  print("path of a patch", [&] { path_of_patch(record, 3, 100, pipeline::Half::conditional); });
  print("timestep map, one image", [&] { timestep_map(record, {.images = {3}}, 10, Measure::tokens); });
  print("timestep map, all", [&] { timestep_map(record, all, 10, Measure::tokens); });
  print("atlas, one step and image", [&] { atlas(record, one, Measure::tokens); });
  print("atlas, all", [&] { atlas(record, all, Measure::tokens); });
  print("flow, one step and image", [&] { flow_to_next_layer(record, one, 10); });
  print("flow, all", [&] { flow_to_next_layer(record, all, 10); });
  print("strongest patches", [&] { strongest_patches(record, all, 10, 2, 32); });
  const auto map = patch_map(record, place, 2, Measure::weight).view({16, 16});
  print("colours of a patch map", [&] { studio::sequential_rgba(map, 0, 1); });
}

}  // namespace

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // as the programs do
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
  time_drawing(argc > 1 ? std::atoi(argv[1]) : 20);
  time_views();
}
