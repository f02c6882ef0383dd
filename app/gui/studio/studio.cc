#include "app/gui/studio/studio.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include "app/gui/studio/exports.h"
#include "app/gui/studio/model_files.h"
#include "app/gui/studio/reason.h"
#include "pipeline/settings_text.h"

namespace switchyard::studio {
namespace {

// Short enough to be read out and typed again.
uint64_t fresh_seed() { return std::random_device()() % 1'000'000; }

std::string counted(size_t count, const std::string& noun) {
  return c10::str(count, " ", noun, count == 1 ? "" : "s");
}

}  // namespace

Studio::Studio(StudioOptions options) : options_(std::move(options)), worker_(options_.wake) {
  if (options_.remembered.empty()) return;
  attempt("What was remembered is left out", [&] { remembered = load_remembered(options_.remembered); });
  as_stored_ = remembered;
}

Studio::~Studio() { remember(); }

void Studio::remember() {
  if (options_.remembered.empty() || remembered == as_stored_) return;
  as_stored_ = remembered;  // where that fails, once
  attempt("Cannot remember", [&] { save_remembered(options_.remembered, remembered); });
}

bool Studio::poll() {
  auto events = worker_.take();
  for (auto& event : events) std::visit([this](auto& of_kind) { take(of_kind); }, event);
  if (const auto* run = selected()) selection.clamp(*run);
  remember();
  return !events.empty();
}

// Models

void Studio::open_embedded() { open({.model = embedded_model()}); }

void Studio::open(const std::filesystem::path& model, const std::filesystem::path& decoder) {
  auto used = decoder;
  std::error_code ignored;
  const auto known = remembered.decoders.find(std::filesystem::absolute(model, ignored).string());
  if (used.empty() && known != remembered.decoders.end()) used = known->second;
  open({.model = {.file = model}, .decoder = used});
}

void Studio::open(pipeline::SessionOptions session) {
  session.device = options_.device;
  session.precision = options_.precision;
  const auto before = static_cast<size_t>(waiting()) + (drawing() != nullptr ? 1 : 0);
  say("Opening " + session.model.name() +
      (before > 0 ? ", after " + counted(before, "run") + " of the queue" : " ..."));
  opening_.push_back(session.model.name());
  worker_.open(std::move(session));
}

void Studio::take(OpenedModel& event) {
  opening_.pop_front();
  without_decoder_.clear();
  const bool other = !model_ || !(model_->config == event.config);
  model_ = std::move(event);
  auto before = std::exchange(form, Form::of(*model_));
  form.fresh_seed = before.fresh_seed;
  form.seed = before.seed;
  form.count = before.count;
  form.batch = before.batch;
  if (!other) form.label = before.label;
  if (other) edits = {};
  restored_.reset();
  if (!model_->source.file.empty()) {
    const auto file = std::filesystem::absolute(model_->source.file);
    remembered.use(file);
    if (!model_->decoder.empty())
      remembered.decoders[file.string()] = std::filesystem::absolute(model_->decoder).string();
  }
  say("Opened " + model_->name);
}

void Studio::take(const Doubted& event) {
  if (model_) model_->doubt = event.doubt;
  say(event.doubt, Status::Kind::warning);
}

void Studio::take(const OpenFailed& event) {
  opening_.pop_front();
  const auto& model = event.asked.model;
  if (event.wants_decoder) {
    without_decoder_ = model.file;
    say(model.where() +
            " draws latents: drop the decoder that makes images of them too, a VAE's folder or file",
        Status::Kind::error);
  } else {
    say("Cannot open " + model.where() + ": " + event.message, Status::Kind::error);
  }
}

// Drawing

std::string Studio::why_not_draw() const {
  if (opening())
    return drawing() != nullptr || waiting() > 0 ? "another model is opened after what is in the queue"
                                                 : "a model is being opened";
  if (!model_) return "no model is open";
  try {
    form.request(model_->config, edits.recipe());
  } catch (...) {
    return reason();
  }
  return {};
}

std::optional<int64_t> Studio::draw() {
  if (form.fresh_seed) form.seed = fresh_seed();
  if (const auto why = why_not_draw(); !why.empty()) {
    say("Cannot draw: " + why, Status::Kind::error);
    return std::nullopt;
  }
  const bool idle = drawing() == nullptr && waiting() == 0;
  const auto id = start(form.request(model_->config, edits.recipe()), -1);
  if (id && idle) select(*id);
  return id;
}

std::string Studio::why_not_again(const Run* first) const {
  if (first == nullptr) return "no run is selected";
  if (opening()) return "a model is being opened";
  if (!model_ || first->model != model_->name || !(first->config == model_->config))
    return first->title() + " was drawn by another model";
  return {};
}

std::optional<int64_t> Studio::draw_again(int64_t id) {
  const auto* first = run(id);
  if (const auto why = why_not_again(first); !why.empty()) {
    say("Cannot draw again: " + why, Status::Kind::error);
    return std::nullopt;
  }
  auto request = first->request;
  request.recipe = edits.recipe();
  return start(request, id);
}

std::optional<int64_t> Studio::start(const pipeline::Request& request, int64_t beside) {
  const bool made = attempt("Cannot draw", [&] { runs_.emplace_back(next_run_, request, *model_); });
  if (!made) return std::nullopt;
  runs_.back().beside = beside;
  worker_.draw(next_run_, request);
  if (beside >= 0) {
    selection.run = beside;
    selection.other = next_run_;
  }
  return next_run_++;
}

void Studio::cancel() {
  if (const auto* run = drawing()) return worker_.cancel(run->id);
  for (const auto& run : runs_) {
    if (!run.studies.ranking && run.studies.under_way().empty()) continue;
    cancel_studies(run.id);
    say("Stopped measuring " + run.title());
  }
}
void Studio::cancel(int64_t run) { worker_.cancel(run); }
void Studio::cancel_all() { worker_.cancel_all(); }

std::optional<int64_t> Studio::mute(int64_t layer, int64_t expert) {
  const auto muted = studio::mute(selection.router, layer, expert);
  const auto known = std::ranges::find(edits.list, muted, &Edit::edit);
  if (known == edits.list.end())
    edits.list.push_back({.edit = muted});
  else
    known->on = !known->on;
  if (selected() == nullptr) return std::nullopt;
  const auto again = draw_again(selection.run);
  const auto now = std::ranges::find(edits.list, muted, &Edit::edit);
  if (again)
    say((now->on ? "" : "Switched off: ") + sentence_of(muted) +
        c10::str("; #", selection.run, " is drawn again as #", *again));
  return again;
}

void Studio::take(const RunBegan& event) {
  auto* run = find(event.run);
  if (run == nullptr) return;
  run->begin();
  keep_within_memory();
  const auto* shown = selected();
  if (run->beside < 0 && selection.follow && (shown == nullptr || shown->ended())) select(run->id);
}

void Studio::take(StepShown& event) {
  if (auto* run = find(event.run)) run->apply(event);
}
void Studio::take(const RoutingSeen& event) {
  if (auto* run = find(event.run)) run->apply(event);
}
void Studio::take(const DecodingSeen& event) {
  if (auto* run = find(event.run)) run->apply(event);
}

void Studio::take(ImageDrawn& event) {
  if (model_) model_->provenance = event.provenance;  // now the hash is known
  auto* run = find(event.run);
  if (run == nullptr) return;
  run->apply(event);
  if (remembered.save_to.empty()) return;
  attempt("Cannot save", [&] { save_images(*run, remembered.save_to, event.image); });
}

void Studio::take(const RunEnded& event) {
  auto* run = find(event.run);
  if (run == nullptr) return;
  run->apply(event);
  if (run->status == Run::Status::failed)
    say("Cannot draw " + run->title() + ": " + run->message, Status::Kind::error);
  else if (run->status == Run::Status::cancelled)
    say("Cancelled " + run->title());
  else if (!run->message.empty())
    say("Drew " + run->title() + ", but " + run->message, Status::Kind::warning);
  else
    say(c10::str("Drew ", run->title(), " in ", static_cast<int64_t>(run->seconds * 10) / 10.0, " s"));
}

// Runs

// Neither those in sight nor those that are being drawn.
void Studio::keep_within_memory() {
  int64_t bytes = 0;
  for (const auto& run : runs_) bytes += run.bytes();
  for (auto& run : runs_) {
    if (bytes <= options_.memory) return;
    if (!run.ended() || run.id == selection.run || run.id == selection.other || run.bytes() == 0) continue;
    bytes -= run.bytes();
    run.lighten();
  }
}

Run* Studio::find(int64_t id) {
  const auto found = std::ranges::find(runs_, id, &Run::id);
  return found == runs_.end() ? nullptr : &*found;
}

const Run* Studio::run(int64_t id) const { return const_cast<Studio*>(this)->find(id); }

const Run* Studio::drawing() const {
  const auto found = std::ranges::find(runs_, Run::Status::drawing, &Run::status);
  return found == runs_.end() ? nullptr : &*found;
}

int64_t Studio::waiting() const { return std::ranges::count(runs_, Run::Status::queued, &Run::status); }

double Studio::seconds_left() const {
  const auto* now = drawing();
  if (now == nullptr || now->progress <= 0) return 0;
  const auto work = [](const Run& run) {
    return static_cast<double>(run.images.size()) * static_cast<double>(run.steps());
  };
  const double seconds_per_work = now->seconds / (now->progress * work(*now));
  double left = now->seconds_left;
  for (const auto& run : runs_)
    if (run.status == Run::Status::queued) left += work(run) * seconds_per_work;
  return left;
}

void Studio::select(int64_t id) {
  if (run(id) == nullptr) return;
  selection.run = id;
  selection.other = -1;
}

void Studio::use_settings_of(int64_t id, int64_t image) {
  const auto* from = run(id);
  if (from == nullptr) return;
  if (!model_ || !(from->config == model_->config)) {
    say("Cannot use these settings: " + from->title() + " was drawn by another model", Status::Kind::error);
    return;
  }
  const auto& [label, seed] = from->request.images.at(static_cast<size_t>(image));
  form.label = label;
  form.seed = seed;
  form.fresh_seed = false;
  form.settings = from->request.settings;
  edits = Edits::of(pipeline::recipe_of_image(from->request.recipe, image));
}

void Studio::forget(int64_t id) {
  worker_.cancel(id);
  cancel_studies(id);
  std::erase_if(runs_, [&](const Run& run) { return run.id == id; });
  if (selection.run == id) selection.run = selection.other = -1;
  if (selection.other == id) selection.other = -1;
}

// Files

void Studio::drop(const std::filesystem::path& path) {
  attempt("Cannot use " + path.filename().string(), [&] {
    switch (kind_of(path)) {
      case FileKind::picture:
        if (!model_) throw std::invalid_argument("open a model first");
        restored_ = restored_from(path, *model_, form, edits);
        break;
      case FileKind::recipe: {
        if (!model_) throw std::invalid_argument("open a model first");
        const auto added = load_edits(path, model_->config);
        edits.list.insert(edits.list.end(), added.list.begin(), added.list.end());
        say("Added " + counted(added.list.size(), "edit") + " of " + path.filename().string());
        break;
      }
      case FileKind::decoder:
        drop_decoder(path);
        break;
      case FileKind::model:
        open(model_file_in(path));
    }
  });
}

// For the model that waits for it, or the one that is open.
void Studio::drop_decoder(const std::filesystem::path& decoder) {
  if (!without_decoder_.empty()) return open(without_decoder_, decoder);
  if (!model_ || !pipeline::draws_latents(model_->config) || model_->source.file.empty())
    throw std::invalid_argument("it decodes latents; open a model that draws them first");
  open(model_->source.file, decoder);
}

void Studio::apply_restored() {
  if (!restored_) return;
  form = restored_->form;
  edits = restored_->edits;
  say("Restored " + restored_->source);
  restored_.reset();
}

void Studio::dismiss_restored() { restored_.reset(); }

bool Studio::save(int64_t id, const std::filesystem::path& folder, int64_t image) {
  return attempt("Cannot save", [&] {
    const auto* from = run(id);
    const auto files =
        from != nullptr ? save_images(*from, folder, image) : std::vector<std::filesystem::path>();
    if (files.empty()) throw std::invalid_argument("no image is finished");
    say("Saved " + (files.size() == 1 ? files.front().string()
                                      : counted(files.size(), "image") + " in " + folder.string()));
  });
}

bool Studio::save_routing(int64_t id, const std::filesystem::path& file) {
  return attempt("Cannot save", [&] {
    const auto* from = run(id);
    if (from == nullptr) throw std::invalid_argument("no run is selected");
    save_run_routing(*from, file);
    say("Saved " + file.string());
  });
}

bool Studio::save_edits(const std::filesystem::path& file) {
  return attempt("Cannot save", [&] {
    if (!model_) throw std::invalid_argument("no model is open");
    studio::save_edits(file, edits, model_->config);
    say("Saved " + file.string());
  });
}

bool Studio::attempt(std::string_view what, const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (...) {
    say(std::string(what) + ": " + reason(), Status::Kind::error);
    return false;
  }
}

void Studio::say(std::string text, Status::Kind kind) { status_ = {kind, std::move(text)}; }

}  // namespace switchyard::studio
