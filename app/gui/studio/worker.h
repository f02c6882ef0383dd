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
#include "pipeline/events.h"
#include "pipeline/session.h"

namespace switchyard::studio {

/// What there is to know of the model that is open.
struct OpenedModel {
  pipeline::ModelSource source;
  std::string name, where;  // "solids"; its path, or that it is part of the program
  dit::ModelConfig config;
  pipeline::Settings settings;  // that it draws best with
  pipeline::Provenance
      provenance;  // its hash is empty until it is known: of large files, after the first image
  std::optional<std::string> doubt;  // see Session::doubt()
  int64_t image_size = 0, image_channels = 0;
  double seconds = 0;  // that opening took
};

struct OpenFailed {
  std::string where, message;
};
struct RunBegan {
  int64_t run;
};
struct StepShown {
  int64_t run, first_image;
  int step, steps;
  std::vector<at::Tensor> previews;  // of each image of the batch, [h, w, C] uint8
  double seconds;                    // since the run began, as in all events
};
struct RoutingSeen {
  int64_t run;
  pipeline::StepRouting routing;  // with probabilities
};
struct DecodingSeen {
  int64_t run, image;
  double done, seconds;  // done: 0 .. 1 of this image
};
struct ImageDrawn {
  int64_t run, image;
  at::Tensor pixels;     // [H, W, C] uint8
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
using Event = std::variant<OpenedModel, OpenFailed, RunBegan, StepShown, RoutingSeen, DecodingSeen,
                           ImageDrawn, RunEnded>;

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

  /// Cancels a run that waits or is being drawn, or all of them; RunEnded follows.
  void cancel(int64_t run);
  void cancel_all();

  /// The events since the last call, in their order.
  std::vector<Event> take();

 private:
  struct Draw {
    int64_t run;
    pipeline::Request request;
  };
  using Job = std::variant<pipeline::SessionOptions, Draw>;

  void add(Job job);
  void work();
  void do_job(pipeline::SessionOptions& options);
  void do_job(Draw& draw);
  void reopen();
  void post(Event event);

  const std::function<void()> wake_;
  std::unique_ptr<pipeline::Session> session_;      // the thread's own
  std::optional<pipeline::SessionOptions> opened_;  // of session_

  std::mutex mutex_;  // of what follows
  std::condition_variable job_came_;
  std::deque<Job> jobs_;
  std::vector<Event> events_;
  int64_t drawing_ = -1;
  bool closing_ = false;

  std::atomic<bool> stop_ = false;  // looked at in every block of the model
  std::thread thread_;              // last: it uses the others
};

}  // namespace switchyard::studio
