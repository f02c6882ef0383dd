// The desktop app without its window: everything that a person does with it is a call here, everything that panels
// show is state here. It belongs to the UI thread; the work is done by a Worker.
//
//   Studio studio({.wake = glfwPostEmptyEvent});
//   studio.open_embedded();
//   while (window is open) { if (studio.poll()) redraw; ... studio.draw(); ... }
//
// Whatever goes wrong is a message in status(), in plain words; no call throws, and nothing else is changed by one that
// failed.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/gui/studio/edits.h"
#include "app/gui/studio/form.h"
#include "app/gui/studio/remembered.h"
#include "app/gui/studio/run.h"
#include "app/gui/studio/selection.h"
#include "app/gui/studio/worker.h"
#include "pipeline/precision.h"

namespace switchyard::studio {

struct StudioOptions {
  std::function<void()> wake = {};        // called on another thread: poll() has something to do
  std::filesystem::path remembered = {};  // remembered_file(); empty: nothing is remembered
  at::Device device = at::kCPU;
  pipeline::Precision precision = {};
  int64_t memory =
      int64_t{2} << 30;  // bytes of routing and previews that runs keep; the oldest let go of theirs
};

struct Status {
  enum class Kind { message, warning, error };
  Kind kind = Kind::message;
  std::string text;
};

class Studio {
 public:
  explicit Studio(StudioOptions options);
  ~Studio();  // within a second, whatever is being drawn; what is remembered is written

  // Panels edit these in place.
  Form form;
  Edits edits;
  Selection selection;
  Remembered remembered;

  /// Takes in what the worker did. True: something changed and wants to be drawn.
  bool poll();

  // Models. Opening takes its place in the queue, after what is being drawn. A model of latents is opened with the decoder
  // that it was opened with before, where none is named.
  void open_embedded();
  void open(const std::filesystem::path& model, const std::filesystem::path& decoder = {});
  const OpenedModel* model() const { return model_ ? &*model_ : nullptr; }  // null: none yet
  bool opening() const { return !opening_.empty(); }
  const std::deque<std::string>& being_opened() const { return opening_; }  // their names, the next one first
  at::Device device() const { return options_.device; }

  // Drawing. Both answer with the id of the new run, or nothing: see status().
  std::optional<int64_t> draw();
  std::optional<int64_t> draw_again(
      int64_t run);                  // the same images and settings with the edits of now, beside it
  std::string why_not_draw() const;  // empty: draw() would; else what stands in its way
  void cancel();                     // what is being drawn; where nothing is, what is being measured
  void cancel(int64_t run);
  void cancel_all();

  /// Mutes an expert and draws the selected run again beside itself: the selection compares the two. Muted already:
  /// switches the edit off, or on, in the same way.
  std::optional<int64_t> mute(int64_t layer, int64_t expert);

  // What is measured of a run that is done, in the background; the answers are in Run::studies. Each says in status()
  // why it cannot be. Drawing goes before: a study waits for what is queued, and is done in small parts.

  /// Mutes every expert of a layer, or (-1) of every layer, on its own, on the run's own seeds; what is measured already
  /// is not measured again.
  void rank(int64_t run, pipeline::Router router, int64_t layer);
  void stop_ranking(int64_t run);
  void ask_what_if(int64_t run, const pipeline::WhatIfQuestion& question);
  void ask_content_or_place(int64_t run, const MomentOf& moment);
  void cancel_studies(int64_t run);
  std::string why_not_study(int64_t run) const;  // empty: it can be measured

  // Runs, in the order of their coming; a reference is good until the run is forgotten.
  const std::list<Run>& runs() const { return runs_; }
  const Run* run(int64_t id) const;  // null: none
  const Run* selected() const { return run(selection.run); }
  const Run* compared() const { return run(selection.other); }
  const Run* drawing() const;   // the one that is being drawn
  int64_t waiting() const;      // runs that wait
  double seconds_left() const;  // of all of them; 0 while unknown
  void select(int64_t run);
  void use_settings_of(int64_t run, int64_t image);  // into form and edits
  void forget(int64_t run);                          // cancels it too

  /// A file or folder from outside, as dropped on the window or chosen in a dialog: a model is opened, a PNG of ours is
  /// laid out in restored(), a recipe's edits are added.
  void drop(const std::filesystem::path& path);

  /// What a PNG asks for, until it is applied or dismissed.
  const std::optional<Restored>& restored() const { return restored_; }
  void apply_restored();
  void dismiss_restored();

  // Files; what they wrote is in status(). image -1: all of the run.
  bool save(int64_t run, const std::filesystem::path& folder, int64_t image = -1);
  bool save_routing(int64_t run, const std::filesystem::path& file);
  bool save_edits(const std::filesystem::path& file);

  /// Does something that may fail; a failure is shown as "<what>: <why>".
  bool attempt(std::string_view what, const std::function<void()>& action);

  const Status& status() const { return status_; }
  void say(std::string text, Status::Kind kind = Status::Kind::message);

 private:
  void take(OpenedModel& event);
  void take(const OpenFailed& event);
  void take(const Doubted& event);
  void take(const RunBegan& event);
  void take(StepShown& event);
  void take(const RoutingSeen& event);
  void take(const DecodingSeen& event);
  void take(ImageDrawn& event);
  void take(const RunEnded& event);
  void take(const StudyProceeded& event);
  void take(StudyEnded& event);

  Run* find(int64_t id);
  void remember();
  void keep_within_memory();
  std::string why_not_again(const Run* run) const;
  void ask(StudyState& study, Worker::Ask ask);
  void go_on_ranking(Run& run);
  void open(pipeline::SessionOptions options);
  void drop_decoder(const std::filesystem::path& decoder);
  std::optional<int64_t> start(const pipeline::Request& request, int64_t beside);

  const StudioOptions options_;
  std::optional<OpenedModel> model_;
  std::optional<Restored> restored_;
  std::list<Run> runs_;
  Remembered as_stored_;  // what the file holds
  Status status_;
  int64_t next_run_ = 1, next_study_ = int64_t{1} << 40;  // one set to the worker
  std::deque<std::string> opening_;
  std::filesystem::path without_decoder_;  // the model that could not be opened for want of one
  Worker worker_;                          // last: it ends first
};

}  // namespace switchyard::studio
