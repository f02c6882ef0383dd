// The studio's part that measures: what is asked of the worker about runs that are done.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "app/gui/studio/studio.h"

namespace switchyard::studio {
namespace {

// The study of this question; a new one where there is none.
template <class Asked, class Answer>
Study<Asked, Answer>& study_of(std::vector<Study<Asked, Answer>>& studies, const Asked& asked) {
  const auto found = std::ranges::find_if(studies, [&](const auto& study) { return study.asked == asked; });
  return found != studies.end() ? *found : studies.emplace_back(asked);
}

template <class Answer>
Finding finding_of(std::optional<Answer> answer) {
  if (!answer) return std::monostate();
  return std::move(*answer);
}

int64_t experts_in(const dit::ModelConfig& config, pipeline::Router router, int64_t layer) {
  return router == pipeline::Router::tokens ? config.experts_of(layer) : config.timestep_experts;
}

}  // namespace

std::string Studio::why_not_study(int64_t id) const {
  const auto* of = run(id);
  if (const auto why = why_not_again(of); !why.empty()) return why;
  if (of->status != Run::Status::done) return of->title() + " is not finished";
  if (!of->config.routes_tokens() && !of->config.routes_timesteps()) return "the model has no experts";
  return {};
}

void Studio::ask(StudyState& study, Worker::Ask ask) {
  study.id = next_study_++;
  study.status = StudyState::Status::asked;
  study.progress = 0;
  study.message.clear();
  worker_.study(study.id, std::move(ask));
}

void Studio::rank(int64_t id, pipeline::Router router, int64_t layer) {
  if (const auto why = why_not_study(id); !why.empty())
    return say("Cannot rank: " + why, Status::Kind::error);
  auto& of = *find(id);
  for (int64_t l = layer < 0 ? 0 : layer; l < (layer < 0 ? of.config.depth : layer + 1); ++l) {
    for (int64_t e = 0; e < experts_in(of.config, router, l); ++e) {
      auto& study = study_of(of.studies.mutings, {router, l, e});
      if (study.id < 0 && !study.answer) study.status = StudyState::Status::waiting;
    }
  }
  of.studies.ranking = true;
  ++of.studies.version;
  go_on_ranking(of);
}

// One at a time, so that whatever is drawn meanwhile comes next.
void Studio::go_on_ranking(Run& of) {
  auto& studies = of.studies;
  if (!studies.ranking) return;
  if (std::ranges::any_of(studies.mutings, [](const auto& study) { return study.id >= 0; })) return;
  const auto next = std::ranges::find(studies.mutings, StudyState::Status::waiting, &StudyState::status);
  if (next == studies.mutings.end()) {
    studies.ranking = false;
    return;
  }
  if (const auto why = why_not_study(of.id); !why.empty()) {
    studies.ranking = false;
    return say("The ranking stops: " + why, Status::Kind::warning);
  }
  pipeline::Drawn before;
  for (const auto& image : of.images) before.pixels.push_back(image.pixels);
  if (const auto* record = of.record(next->asked.router)) before.routing = *record;
  ask(*next, [request = of.request, before = std::move(before), at = next->asked](
                 pipeline::Session& session, const Worker::StudyWatch& watch) {
    return finding_of(pipeline::effect_of_muting(session, request, before, at.router, at.layer, at.expert,
                                                 watch.stop, watch.progress));
  });
}

void Studio::stop_ranking(int64_t id) {
  auto* of = find(id);
  if (of == nullptr) return;
  of->studies.ranking = false;
  for (auto& study : of->studies.mutings) {
    worker_.cancel(study.id);
    if (study.status == StudyState::Status::waiting) study.status = StudyState::Status::cancelled;
  }
  ++of->studies.version;
}

void Studio::ask_what_if(int64_t id, const pipeline::WhatIfQuestion& question) {
  attempt("Cannot ask what if", [&] {
    if (const auto why = why_not_study(id); !why.empty()) throw std::invalid_argument(why);
    auto& of = *find(id);
    const auto final = of.final_prediction(question.image);
    if (!final.defined()) throw std::invalid_argument("the numbers of the image were let go; draw it again");
    auto& study = study_of(of.studies.what_ifs, question);
    if (study.id >= 0 || study.answer) return;
    ask(study,
        [request = of.request, question, final](pipeline::Session& session, const Worker::StudyWatch& watch) {
          return finding_of(pipeline::what_if(session, request, question, final, watch.stop, watch.progress));
        });
    ++of.studies.version;
  });
}

void Studio::ask_content_or_place(int64_t id, const MomentOf& moment) {
  attempt("Cannot ask for content or place", [&] {
    if (const auto why = why_not_study(id); !why.empty()) throw std::invalid_argument(why);
    auto& of = *find(id);
    const auto latent = of.images.at(static_cast<size_t>(moment.image)).latent;
    if (!latent.defined()) throw std::invalid_argument("the numbers of the image were let go; draw it again");
    auto& study = study_of(of.studies.contents, moment);
    if (study.id >= 0 || study.answer) return;
    const auto& [label, seed] = of.request.images.at(static_cast<size_t>(moment.image));
    const double t =
        pipeline::steps_of(of.config, of.request.settings).at(static_cast<size_t>(moment.step)).from.t;
    ask(study,
        [latent, label = label, seed = seed, t](pipeline::Session& session, const Worker::StudyWatch& watch) {
          return finding_of(pipeline::content_or_place(session, latent, label, seed, t, watch.stop));
        });
    ++of.studies.version;
  });
}

void Studio::cancel_studies(int64_t id) {
  stop_ranking(id);
  if (const auto* of = run(id))
    for (const auto study : of->studies.under_way()) worker_.cancel(study);
}

void Studio::take(const StudyProceeded& event) {
  for (auto& of : runs_)
    if (of.studies.apply(event)) return;
}

void Studio::take(StudyEnded& event) {
  for (auto& of : runs_) {
    if (!of.studies.apply(event)) continue;
    if (event.how == RunEnded::How::failed) say("Cannot measure: " + event.message, Status::Kind::error);
    return go_on_ranking(of);
  }
}

}  // namespace switchyard::studio
