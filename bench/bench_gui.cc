// What the desktop app asks of a machine, with its window: frames, an idle window, and what watching costs the drawing.
//
//   bench_gui [STEPS]      default: 40
//
// 1280 x 800, every panel of the first layout in sight, the mouse moving over them. Drawing is timed in turn in the
// window, and by a session that nobody watches; medians of five.
#include <imgui.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "app/gui/app.h"
#include "app/gui/studio/model_files.h"
#include "pipeline/session.h"
#include "timing.h"

namespace {

using namespace switchyard;

constexpr int kFrames = 300, kPairs = 5;
constexpr double kIdleSeconds = 10;

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

void print(const char* what, const std::vector<double>& ms, int limit) {
  std::printf("%-26s %7.1f ms median, %.1f ms 95th percentile (limit %d), %.1f ms most, of %zu\n", what,
              quantile(ms, 0.5), quantile(ms, 0.95), limit, quantile(ms, 1), ms.size());
  std::fflush(stdout);
}

// Of this process, all threads.
double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The mouse on its way around the window.
void move_mouse(int frame) {
  const auto t = static_cast<float>(frame) * 0.05f;
  ImGui::GetIO().AddMousePosEvent(640 + 600 * std::sin(t), 400 + 380 * std::sin(0.7f * t));
}

// Draws what the form says, in the window; the seconds that the worker took. The times of its frames, in ms. Somebody
// moves the mouse, or only looks on.
double draw_watched(gui::App& app, std::vector<double>& frames, bool moving) {
  const auto id = app.studio.draw();
  if (!id) {
    std::fprintf(stderr, "%s\n", app.studio.status().text.c_str());
    std::exit(1);
  }
  for (int turn = 0; !app.studio.run(*id)->ended(); ++turn) {
    if (moving && turn % 8 == 0) move_mouse(turn / 8);
    if (app.turn()) frames.push_back(app.ui.frame_ms);
  }
  return app.studio.run(*id)->seconds;
}

double draw_unwatched(pipeline::Session& session, const pipeline::Request& request) {
  pipeline::Observer observer;
  observer.image_finished = [](const auto&) { return true; };
  // On a thread as the worker's: the main one gets its memory in another way.
  return timing::seconds([&] { std::thread([&] { session.draw(request, observer); }).join(); });
}

void run(int steps) {
  gui::App app({.window = {.width = 1280, .height = 800}});
  app.studio.remembered.hint_seen = true;
  app.studio.open_embedded();
  while (app.studio.opening()) app.turn();
  app.studio.form.settings.grid.steps = steps;
  std::vector<double> frames;
  draw_watched(app, frames, false);  // warm

  // Painted where they changed, and as a whole, in turn: each has the same share of what else the machine does.
  std::vector<double> of_kind[2];
  double work[2] = {};
  for (int round = 0; round < kFrames / 10; ++round) {
    for (const int whole : {0, 1}) {
      app.window.set_partly(!whole);
      for (int i = 0; i < 10; ++i) {
        move_mouse(round * 10 + i);
        const double start = processor_seconds();
        app.draw();
        of_kind[whole].push_back(app.ui.frame_ms);
        work[whole] += processor_seconds() - start;
      }
    }
  }
  app.window.set_partly(true);
  print("frame, at rest", of_kind[0], 20);
  print("  painted as a whole", of_kind[1], 20);
  // What others on the machine disturb less.
  std::printf("  of processors            %7.1f ms mean, %.1f ms painted as a whole\n",
              1e3 * work[0] / kFrames, 1e3 * work[1] / kFrames);

  ImGui::GetIO().AddMousePosEvent(2, 2);
  for (int i = 0; i < 5; ++i) app.draw();
  const double before = processor_seconds();
  int drawn = 0;
  const double slept = timing::seconds([&] {
    for (double left = kIdleSeconds; left > 0;) left -= timing::seconds([&] { drawn += app.turn(); });
  });
  std::printf("idle                       %7.2f %% of a processor over %.1f s, %d frames (limit 3 %%)\n",
              100 * (processor_seconds() - before) / slept, slept, drawn);
  std::fflush(stdout);

  pipeline::Session session({.model = studio::embedded_model()});
  session.load();
  std::vector<double> watched, unwatched, watched_work, unwatched_work;
  std::vector<double> ignored;
  for (int i = 0; i < kPairs; ++i) {
    const double first = processor_seconds();
    watched.push_back(draw_watched(app, ignored, false));
    const double second = processor_seconds();
    unwatched.push_back(draw_unwatched(session, app.studio.runs().back().request));
    watched_work.push_back(second - first), unwatched_work.push_back(processor_seconds() - second);
  }
  frames.clear();
  for (int i = 0; i < kPairs; ++i) draw_watched(app, frames, true);
  print("frame, while drawing", frames, 60);
  const auto cost = [](const std::vector<double>& more, const std::vector<double>& less) {
    return 100 * (quantile(more, 0.5) / quantile(less, 0.5) - 1);
  };
  std::printf(
      "an image of %3d steps      %7.2f s unwatched, %.2f s watched: %+.1f %% (limit 10 %%); of processors "
      "%+.1f %%\n",
      steps, quantile(unwatched, 0.5), quantile(watched, 0.5), cost(watched, unwatched),
      cost(watched_work, unwatched_work));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? std::max(2, std::atoi(argv[1])) : 40);
  } catch (const gui::NoWindow& error) {
    std::fprintf(stderr, "bench_gui: %s\n", error.what());
    return 2;
  }
}
