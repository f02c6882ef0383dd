#include "app/gui/studio/run.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <stdexcept>

#include "app/gui/studio/reason.h"
#include "sampler/schedule.h"

namespace switchyard::studio {
namespace {

constexpr int64_t kMostPreviewBytes = int64_t{512} << 20;

std::string class_of(const dit::ModelConfig& config, int64_t label) {
  if (label == config.null_class()) return "no class";
  const auto index = static_cast<size_t>(label);
  return index < config.class_names.size() ? config.class_names[index] : "class " + std::to_string(label);
}

}  // namespace

Run::Run(int64_t id_, pipeline::Request request_, const OpenedModel& opened)
    : id(id_),
      request(std::move(request_)),
      config(opened.config),
      model(opened.name),
      gate(opened.gate),
      images(request.images.size()) {
  const sampler::Schedule schedule(config.schedule);
  for (const auto& step : pipeline::steps_of(config, request.settings))
    times.push_back(schedule.noise_fraction(step.from.t));
  for (auto& image : images) image.previews.resize(times.size());
}

const pipeline::RoutingRecord* Run::record(pipeline::Router router) const {
  const auto found = std::ranges::find(records, router, &pipeline::RoutingRecord::router);
  return found == records.end() ? nullptr : &*found;
}

at::Tensor Run::preview_at(int64_t image, int64_t step) const {
  const auto& previews = images.at(static_cast<size_t>(image)).previews;
  for (int64_t s = std::min(step, steps() - 1); s >= 0; --s)
    if (previews[static_cast<size_t>(s)].defined()) return previews[static_cast<size_t>(s)];
  return {};
}

at::Tensor Run::final_prediction(int64_t image) const {
  const auto& picture = images.at(static_cast<size_t>(image));
  if (!picture.latent.defined()) return {};
  if (picture.latent.size(0) == picture.pixels.size(2)) return picture.latent;
  return preview_at(image, steps() - 1).permute({2, 0, 1}).to(at::kFloat) / 127.5 - 1;
}

at::Tensor Run::shown(int64_t image, int64_t step) const {
  const auto& picture = images.at(static_cast<size_t>(image));
  return picture.finished() && step >= steps() - 1 ? picture.pixels : preview_at(image, step);
}

std::string Run::title(int64_t image) const {
  const auto& [label, seed] = request.images.at(static_cast<size_t>(image));
  return class_of(config, label) + ", seed " + std::to_string(seed);
}

std::string Run::title() const {
  auto text = c10::str("#", id, " ", title(0));
  if (images.size() > 1) text += c10::str(" and ", images.size() - 1, " more");
  return text;
}

int64_t Run::bytes() const {
  int64_t sum = 0;
  for (const auto& image : images)
    sum += image.latent.defined() ? static_cast<int64_t>(image.latent.nbytes()) : 0;
  for (const auto& image : images)
    for (const auto& preview : image.previews) sum += preview.defined() ? preview.numel() : 0;
  for (const auto& record : records)
    for (const auto* tensor : {&record.experts, &record.gate_weights, &record.probabilities})
      sum += tensor->defined() ? static_cast<int64_t>(tensor->nbytes()) : 0;
  return sum;
}

void Run::lighten() {
  for (auto& image : images) {
    image.previews.assign(image.previews.size(), at::Tensor());
    image.latent = at::Tensor();
  }
  records.clear();
  message = "its routing and previews were let go, to leave room for later runs; draw it again to see them";
  ++version;
}

void Run::begin() {
  status = Status::drawing;
  ++version;
  for (const bool probabilities : {true, false}) {
    try {
      records = pipeline::routing_records(config, request, probabilities);
      return;
    } catch (...) {
      message = "its routing is not kept: " + reason();
    }
  }
}

void Run::proceed(double done, double now) {
  progress = std::max(progress, done);
  seconds = now;
  seconds_left = progress > 0 ? now * (1 - progress) / progress : 0;
  ++version;
}

void Run::apply(StepShown& event) {
  const auto in_batch = static_cast<int64_t>(event.previews.size());
  for (int64_t i = 0; i < in_batch; ++i) {
    auto& preview = event.previews[static_cast<size_t>(i)];
    auto& picture = images.at(static_cast<size_t>(event.first_image + i));
    keep_every_ = static_cast<int>(1 + preview.numel() * static_cast<int64_t>(images.size()) * steps() /
                                           kMostPreviewBytes);
    picture.previews.at(static_cast<size_t>(event.step)) = std::move(preview);
    if (event.step > 0 && (event.step - 1) % keep_every_ != 0)
      picture.previews[static_cast<size_t>(event.step) - 1] = at::Tensor();
    picture.steps_done = event.step + 1;
  }
  proceed(event.done, event.seconds);
}

void Run::apply(const RoutingSeen& event) {
  for (auto& record : records) record.add(event.routing);
  ++version;
}

void Run::apply(const DecodingSeen& event) { proceed(event.done, event.seconds); }

void Run::apply(ImageDrawn& event) {
  auto& picture = images.at(static_cast<size_t>(event.image));
  picture.pixels = std::move(event.pixels);
  picture.latent = std::move(event.latent);
  picture.text = std::move(event.text);
  proceed(progress, event.seconds);
}

void Run::apply(const RunEnded& event) {
  status = event.how == RunEnded::How::done        ? Status::done
           : event.how == RunEnded::How::cancelled ? Status::cancelled
                                                   : Status::failed;
  if (!event.message.empty()) message = event.message;
  seconds = event.seconds;
  seconds_left = 0;
  ++version;
}

at::Tensor pixel_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes())
    throw std::invalid_argument(
        c10::str("expected images of equal size, got ", a.sizes(), " and ", b.sizes()));
  return (a.to(at::kFloat) - b.to(at::kFloat)).abs().mean(2).round().to(at::kByte);
}

}  // namespace switchyard::studio
