// switchyard sample: draws images.
#include <ATen/ATen.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "app/cli/commands.h"
#include "app/cli/idle_options.h"
#include "app/cli/interrupt.h"
#include "app/cli/model_argument.h"
#include "app/cli/progress.h"
#include "app/cli/sample_options.h"
#include "app/cli/sample_outputs.h"
#include "app/cli/sample_set.h"
#include "app/cli/usage.h"
#include "io/png.h"
#include "pipeline/session.h"

namespace switchyard::app {
namespace {

// Draws, with progress; the images go to `outputs` as they come.
void draw(pipeline::Session& session, const pipeline::Request& request, SampleOutputs& outputs, Progress& progress) {
  const auto images = request.images.size();
  const auto total = static_cast<double>(images);
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto show = [&](double done, int64_t image, const std::string& what) {
    progress.show(done, "image " + std::to_string(image) + "/" + std::to_string(images) + ", " + what,
                  seconds() * (1 - done) / done);
    return !interrupted();
  };
  pipeline::Observer observer;
  observer.stop = interrupted;
  observer.step_done = [&](const pipeline::StepDone& step) {
    const bool go_on = show(step.done, step.first_image + step.images,
                            "step " + std::to_string(step.step + 1) + "/" + std::to_string(step.steps));
    // Not before: it costs as much as two steps.
    if (step.first_image == 0 && step.step == 0 && go_on) {
      if (const auto doubt = session.doubt()) progress.warn("warning: " + *doubt);
    }
    return go_on;
  };
  observer.decoding = [&](const pipeline::Decoding& decoding) {
    return show(decoding.done, decoding.image + 1, "decoding");
  };
  observer.image_finished = [&](const pipeline::ImageFinished& finished) {
    outputs.add(finished, session, progress);
    return !interrupted();
  };
  observer.routing = outputs.recorder();
  if (!session.draw(request, observer)) throw Cancelled();

  const double taken = seconds();
  char rate[32];
  std::snprintf(rate, sizeof rate, "%.2f", total / taken);
  progress.say(std::to_string(images) + (images == 1 ? " image in " : " images in ") + duration_text(taken) + " (" +
               rate + " images/s)");
}

void sample(const SampleOptions& options) {
  require_range("--batch", options.batch, 1, 4096);
  Stored stored;
  const auto from = options.from.string();
  if (!from.empty()) stored = pipeline::read_image_text(io::read_png(options.from).text, from);
  pipeline::Session session(session_options(options, stored));
  Progress progress(options.quiet);
  // Before the settings: they may not suit another model.
  if (stored) {
    for (const auto& [what, then, now] : pipeline::differences(stored->model, session.provenance())) {
      progress.warn("warning: " + from + " was drawn by " + what + " " + then + ", this is " + now +
                    ": the pixels will differ");
    }
  }
  const auto chosen = settings_of(options, stored, session.file());
  const auto say_settings = [&] {
    progress.say(chosen.sentence);
    for (const auto& sentence : idle_options(options, chosen)) progress.warn("warning: " + sentence);
    if (session.file().format == "Switchyard" && !options.model.objective.empty())
      progress.warn("warning: the file states another objective than --objective " + options.model.objective);
  };
  if (options.set.asked()) {
    say_settings();
    sample_set(options, session, {chosen.settings, recipe_of(options, stored, session.config())}, chosen.sentence,
               progress);
    return;
  }
  pipeline::Request request{.images = images_of(options, stored, session.config()),
                            .settings = chosen.settings,
                            .recipe = recipe_of(options, stored, session.config()),
                            .batch_size = options.batch};
  session.check(request);
  SampleOutputs outputs(options, session, request);

  say_settings();
  draw(session, request, outputs, progress);
  outputs.finish(progress);
}

}  // namespace

void add_sample_command(CLI::App& program) {
  auto options = std::make_shared<SampleOptions>();
  auto& command =
      *program.add_subcommand("sample", "Draw images, and on request a picture of which experts drew them");
  add_sample_options(command, *options);
  command.footer(
      "Example: three spheres and three cubes, as files in images/ and as one grid\n"
      "  switchyard sample --class sphere,cube --count 3 --out images --grid grid.png");
  command.callback([options] { sample(*options); });
}

}  // namespace switchyard::app
