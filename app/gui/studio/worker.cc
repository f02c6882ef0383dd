#include "app/gui/studio/worker.h"

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <chrono>
#include <utility>

#include "app/gui/studio/reason.h"

namespace switchyard::studio {
namespace {

// Hashing a file of this size takes a moment; that of a larger one is waited for with its first image.
constexpr int64_t kHashedAtOnce = int64_t{256} << 20;
constexpr double kTellEvery = 0.1;  // seconds

std::function<double()> stopwatch() {
  using Clock = std::chrono::steady_clock;
  return [start = Clock::now()] { return std::chrono::duration<double>(Clock::now() - start).count(); };
}

bool wants_decoder(const pipeline::SessionOptions& options) {
  if (!options.decoder.empty()) return false;
  try {
    const auto file = options.model.open_for_use();
    return file.decoder.empty() && pipeline::draws_latents(file.config);
  } catch (...) {
    return false;  // it is no model, for one
  }
}

}  // namespace

Worker::Worker(std::function<void()> wake) : wake_(std::move(wake)), thread_([this] { work(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    stop_ = true;
    jobs_.clear();
  }
  job_came_.notify_one();
  thread_.join();
}

void Worker::open(pipeline::SessionOptions options) { add(std::move(options)); }

void Worker::draw(int64_t run, pipeline::Request request) { add(Draw{run, std::move(request)}); }

void Worker::study(int64_t study, Ask ask) { add(Study{study, std::move(ask)}); }

int64_t Worker::id_of(const Job& job) {
  if (const auto* draw = std::get_if<Draw>(&job)) return draw->run;
  if (const auto* study = std::get_if<Study>(&job)) return study->study;
  return -1;
}

void Worker::add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  job_came_.notify_one();
}

void Worker::cancel(int64_t id) {
  if (id < 0) return;
  std::vector<Event> dropped;
  {
    const std::lock_guard lock(mutex_);
    if (doing_ == id) stop_ = true;
    std::erase_if(jobs_, [&](const Job& job) {
      if (id_of(job) != id) return false;
      if (std::holds_alternative<Draw>(job)) {
        dropped.push_back(RunEnded{id, RunEnded::How::cancelled, {}, 0});
      } else {
        dropped.push_back(StudyEnded{id, RunEnded::How::cancelled, {}, {}, 0});
      }
      return true;
    });
  }
  for (auto& event : dropped) post(std::move(event));
}

void Worker::cancel_all() {
  std::vector<int64_t> runs;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& job : jobs_)
      if (const auto* draw = std::get_if<Draw>(&job)) runs.push_back(draw->run);
    if (drawing_) runs.push_back(doing_);
  }
  for (const auto run : runs) cancel(run);
}

std::vector<Event> Worker::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

void Worker::post(Event event) {
  bool first;
  {
    const std::lock_guard lock(mutex_);
    first = events_.empty();
    events_.push_back(std::move(event));
  }
  if (first && wake_) wake_();
}

void Worker::work() {
  // Of this thread and those that it starts to compute with: the window goes before them. As it is where that fails.
  ::setpriority(PRIO_PROCESS, 0, 5);
  while (true) {
    std::optional<Job> job;
    {
      std::unique_lock lock(mutex_);
      doing_ = -1;
      drawing_ = false;
      job_came_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
      if (closing_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      stop_ = false;
      doing_ = id_of(*job);
      drawing_ = std::holds_alternative<Draw>(*job);
    }
    std::visit([this](auto& job_of_kind) { do_job(job_of_kind); }, *job);
  }
}

void Worker::do_job(pipeline::SessionOptions& options) {
  const auto seconds = stopwatch();
  const auto where = options.model.where();
  try {
    auto session = std::make_unique<pipeline::Session>(options);
    dit::require_fitting_tensors(session->file());
    OpenedModel opened{.source = options.model,
                       .decoder = options.decoder,
                       .name = options.model.name(),
                       .where = where,
                       .config = session->config(),
                       .settings = session->settings(),
                       .fast_settings = session->fast_settings(),
                       .provenance = {},
                       .doubt = {},
                       .image_size = session->image_size(),
                       .image_channels = session->image_channels()};
    session_.reset();  // what can be known of the new model is fine: both need not fit into memory
    try {
      session->load();
      if (session->config().routes_timesteps())
        opened.gate = std::make_shared<pipeline::TimestepGate>(session->timestep_gate());
      if (options.model.size() <= kHashedAtOnce) opened.provenance = session->provenance();
    } catch (...) {
      session.reset();
      reopen();
      throw;
    }
    session_ = std::move(session);
    opened_ = options;
    doubt_asked_ = false;
    opened.seconds = seconds();
    post(std::move(opened));
  } catch (...) {
    OpenFailed failed{options, reason()};
    failed.wants_decoder = wants_decoder(options);
    post(std::move(failed));
  }
}

// The model before, whose weights are read again when it is drawn with.
void Worker::reopen() {
  try {
    if (opened_) session_ = std::make_unique<pipeline::Session>(*opened_);
  } catch (...) {
    opened_.reset();  // its file is gone as well: draws will say that no model is open
  }
}

void Worker::do_job(Draw& draw) {
  const auto seconds = stopwatch();
  const auto run = draw.run;
  post(RunBegan{run});
  RunEnded ended{run, RunEnded::How::done, {}, 0};
  try {
    if (!session_) throw std::runtime_error("no model is open");
    const auto& request = draw.request;
    const auto& config = session_->config();
    pipeline::Observer observer;
    observer.previews = observer.probabilities = true;
    observer.stop = [this] { return stop_.load(std::memory_order_relaxed); };
    observer.step_done = [&](const pipeline::StepDone& step) {
      std::vector<at::Tensor> previews;
      for (int64_t i = 0; i < step.images; ++i) previews.push_back(pipeline::to_pixels(step.preview[i]));
      post(
          StepShown{run, step.first_image, step.step, step.steps, std::move(previews), seconds(), step.done});
      // Not before the first step is seen: it costs as much as two of them.
      if (!std::exchange(doubt_asked_, true)) {
        if (auto doubt = session_->doubt()) post(Doubted{std::move(*doubt)});
      }
      return true;
    };
    if (config.routes_tokens() || config.routes_timesteps()) {
      observer.routing = [&](const pipeline::StepRouting& routing) {
        post(RoutingSeen{run, routing});
        return true;
      };
    }
    observer.decoding = [&](const pipeline::Decoding& decoding) {
      post(DecodingSeen{run, seconds(), decoding.done});
      return true;
    };
    observer.image_finished = [&](const pipeline::ImageFinished& image) {
      auto text = session_->text_of(request, static_cast<size_t>(image.image));
      post(ImageDrawn{run, image.image, image.pixels, image.latent, std::move(text), session_->provenance(),
                      seconds()});
      return true;
    };
    if (!session_->draw(request, observer)) ended.how = RunEnded::How::cancelled;
  } catch (...) {
    ended.how = RunEnded::How::failed;
    ended.message = reason();
  }
  ended.seconds = seconds();
  post(std::move(ended));
}

void Worker::do_job(Study& study) {
  const auto seconds = stopwatch();
  StudyEnded ended{study.study, RunEnded::How::done, {}, {}, 0};
  double told = -1;
  const StudyWatch watch{.stop = [this] { return stop_.load(std::memory_order_relaxed); },
                         .progress =
                             [&](double progress) {
                               if (seconds() - told < kTellEvery) return;
                               told = seconds();
                               post(StudyProceeded{study.study, progress});
                             }};
  try {
    if (!session_) throw std::runtime_error("no model is open");
    ended.finding = study.ask(*session_, watch);
    if (std::holds_alternative<std::monostate>(ended.finding)) ended.how = RunEnded::How::cancelled;
  } catch (...) {
    ended.how = RunEnded::How::failed;
    ended.message = reason();
  }
  ended.seconds = seconds();
  post(std::move(ended));
}

}  // namespace switchyard::studio
