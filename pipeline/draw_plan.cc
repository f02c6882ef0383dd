#include "pipeline/draw_plan.h"

#include <chrono>
#include <exception>

#include "pipeline/out_of_memory.h"

namespace switchyard::pipeline {
namespace {

class PlanDrawing {
 public:
  PlanDrawing(Session& session, const ImagePlan& plan, const std::vector<size_t>& images, int64_t there,
              int64_t batch_size, const PlanImage& done, const PlanObserver& observer)
      : session_(session), plan_(plan), images_(images), done_(done), observer_(observer) {
    result_.progress.there = there;
    result_.progress.images = there + static_cast<int64_t>(images.size());
    result_.batch_size = batch_size;
  }

  PlanDrawn run() {
    while (drawn_ < images_.size() && !result_.cancelled) {
      try {
        result_.cancelled = !draw_one_variant();
      } catch (const std::exception& error) {
        if (!is_out_of_memory(error) || result_.batch_size == 1) throw;
        result_.batch_size = (result_.batch_size + 1) / 2;
        if (observer_.smaller_batches) observer_.smaller_batches(result_.batch_size);
      }
    }
    result_.progress.drawn = static_cast<double>(drawn_);
    result_.progress.seconds = seconds();
    return result_;
  }

 private:
  // The next images as far as they are drawn in the same way. False: cancelled.
  bool draw_one_variant() {
    const size_t first = drawn_;
    const auto variant_of = [&](size_t i) { return plan_.variant_of[images_[i]]; };
    const auto& variant = plan_.variants[variant_of(first)];
    Request request{.settings = variant.settings, .recipe = variant.recipe, .batch_size = result_.batch_size};
    for (size_t i = first; i < images_.size() && variant_of(i) == variant_of(first); ++i)
      request.images.push_back(plan_.images[images_[i]]);

    const auto say = [&](double done) {
      if (!observer_.progress) return true;
      auto progress = result_.progress;
      progress.drawn = static_cast<double>(first) + done * static_cast<double>(request.images.size());
      progress.seconds = seconds();
      return observer_.progress(progress);
    };
    Observer watch{.routing = observer_.routing, .stop = observer_.stop};
    watch.step_done = [&](const StepDone& step) { return say(step.done); };
    watch.decoding = [&](const Decoding& decoding) { return say(decoding.done); };
    watch.image_finished = [&](const ImageFinished& image) {
      const auto index = static_cast<size_t>(image.image);
      done_(images_[first + index], image.pixels, [&] { return session_.text_of(request, index); });
      drawn_ = first + index + 1;
      return true;
    };
    return session_.draw(request, watch);
  }

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  using Clock = std::chrono::steady_clock;
  Session& session_;
  const ImagePlan& plan_;
  const std::vector<size_t>& images_;
  const PlanImage& done_;
  const PlanObserver& observer_;
  const Clock::time_point start_ = Clock::now();
  size_t drawn_ = 0;
  PlanDrawn result_;
};

}  // namespace

PlanDrawn draw_plan(Session& session, const ImagePlan& plan, const std::vector<size_t>& images, int64_t there,
                    int64_t batch_size, const PlanImage& done, const PlanObserver& observer) {
  return PlanDrawing(session, plan, images, there, batch_size, done, observer).run();
}

}  // namespace switchyard::pipeline
