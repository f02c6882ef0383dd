// The thread that works: it opens models and draws, one job after another, while the UI thread goes on.
//
// Jobs are done in the order of their coming. What happens is posted as events that own their data, into a queue that
// the UI thread drains; the worker never waits for it. A job that fails, for whatever reason, is an event with its
// message, and the worker lives on.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "dit/config.h"
#include "io/png.h"
#include "pipeline/content_or_place.h"
#include "pipeline/events.h"
#include "pipeline/muting.h"
#include "pipeline/session.h"
#include "pipeline/what_if.h"

namespace switchyard::studio {

/// What there is to know of the model that is open.
struct OpenedModel {
  pipeline::ModelSource source;
  std::filesystem::path decoder;  // of a model that draws latents
  std::string name, where;        // "solids"; its path, or that it is part of the program
  dit::ModelConfig config;
  pipeline::Settings settings, fast_settings;  // that it draws best with, and in little time
  pipeline::Provenance
      provenance;  // its hash is empty until it is known: of large files, after the first image
  std::optional<std::string> doubt;  // see Session::doubt(); not known before the first step of a drawing
  int64_t image_size = 0, image_channels = 0;
  std::shared_ptr<const pipeline::TimestepGate> gate = {};  // of a model that routes timesteps
  double seconds = 0;                                       // that opening took
};

struct OpenFailed {
  pipeline::SessionOptions asked;
  std::string message;
  bool wants_decoder = false;  // it draws latents, and no decoder was named
};
struct Doubted {  // of the model that was opened last
  std::string doubt;
};
struct RunBegan {
  int64_t run;
};
struct StepShown {
  int64_t run, first_image;
  int step, steps;
  std::vector<at::Tensor> previews;  // of each image of the batch, [h, w, C] uint8
  double seconds, done;  // since the run began, as in all events; share of its work, see pipeline::StepDone
};
struct RoutingSeen {
  int64_t run;
  pipeline::StepRouting routing;  // with probabilities
};
struct DecodingSeen {
  int64_t run;
  double seconds, done;
};
struct ImageDrawn {
  int64_t run, image;
  at::Tensor pixels;     // [H, W, C] uint8
  at::Tensor latent;     // [C, h, w] fp32, see pipeline::ImageFinished
  io::TextEntries text;  // of its PNG
  pipeline::Provenance provenance;
  double seconds;
};
struct RunEnded {
  enum class How { done, cancelled, failed };
  int64_t run;
  How how;
  std::string message;  // of a failure
  double seconds;
};

/// Something else that the open model is asked, in turn with the drawings; what it found.
using Finding =
    std::variant<std::monostate, pipeline::MutingEffect, pipeline::WhatIf, pipeline::ContentScore>;
struct StudyProceeded {
  int64_t study;
  double progress;  // 0 .. 1
};
struct StudyEnded {
  int64_t study;
  RunEnded::How how;
  Finding finding;
  std::string message;  // of a failure
  double seconds;
};

using Event = std::variant<OpenedModel, OpenFailed, Doubted, RunBegan, StepShown, RoutingSeen, DecodingSeen,
                           ImageDrawn, RunEnded, StudyProceeded, StudyEnded>;

class Worker {
 public:
  /// `wake` is called, mostly on the worker's thread, when there are events where there were none; may be empty.
  explicit Worker(std::function<void()> wake);

  /// Cancels what is being done, forgets what waits, and joins: within the time of one block of the model.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Opens a model in place of the one that is open, which stays where that fails. Posts OpenedModel or OpenFailed.
  void open(pipeline::SessionOptions options);

  /// Draws with the model that is open then. Posts RunBegan, what happens, and RunEnded.
  void draw(int64_t run, pipeline::Request request);

  /// Asks the model that is open then; `ask` answers monostate where `stop` said so. Posts StudyProceeded, at most ten
  /// times a second, and StudyEnded. Ids of studies and runs are one set.
  struct StudyWatch {
    std::function<bool()> stop;
    std::function<void(double)> progress;
  };
  using Ask = std::function<Finding(pipeline::Session&, const StudyWatch&)>;
  void study(int64_t study, Ask ask);

  /// Cancels a run or study that waits or is being done, or all runs; RunEnded or StudyEnded follows.
  void cancel(int64_t id);
  void cancel_all();

  /// The events since the last call, in their order.
  std::vector<Event> take();

 private:
  struct Draw {
    int64_t run;
    pipeline::Request request;
  };
  struct Study {
    int64_t study;
    Ask ask;
  };
  using Job = std::variant<pipeline::SessionOptions, Draw, Study>;

  void add(Job job);
  void work();
  void do_job(pipeline::SessionOptions& options);
  void do_job(Draw& draw);
  void do_job(Study& study);
  static int64_t id_of(const Job& job);  // -1: has none
  void reopen();
  void post(Event event);

  const std::function<void()> wake_;
  std::unique_ptr<pipeline::Session> session_;      // the thread's own
  std::optional<pipeline::SessionOptions> opened_;  // of session_
  bool doubt_asked_ = false;                        // of session_

  std::mutex mutex_;  // of what follows
  std::condition_variable job_came_;
  std::deque<Job> jobs_;
  std::vector<Event> events_;
  int64_t doing_ = -1;    // the id of the job that is being done
  bool drawing_ = false;  // it is a run
  bool closing_ = false;

  std::atomic<bool> stop_ = false;  // looked at in every block of the model
  std::thread thread_;              // last: it uses the others
};

}  // namespace switchyard::studio
