#include "app/gui/studio/studies.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <type_traits>

namespace switchyard::studio {
namespace {

using Status = StudyState::Status;

template <class Studies, class Asked>
auto find(const Studies& studies, const Asked& asked) {
  const auto found = std::ranges::find_if(studies, [&](const auto& study) { return study.asked == asked; });
  return found == studies.end() ? nullptr : &*found;
}

template <class Asked, class Answer>
void end(Study<Asked, Answer>& study, StudyEnded& event) {
  study.id = -1;
  study.progress = 0;
  study.seconds = event.seconds;
  study.message = event.message;
  study.status = event.how == RunEnded::How::done        ? Status::done
                 : event.how == RunEnded::How::cancelled ? Status::cancelled
                                                         : Status::failed;
  if (auto* answer = std::get_if<Answer>(&event.finding)) study.answer = std::move(*answer);
}

}  // namespace

bool Studies::apply(const StudyProceeded& event) {
  bool mine = false;
  for_each([&](StudyState& study) {
    if (study.id != event.study) return;
    study.progress = event.progress;
    mine = true;
  });
  if (mine) ++version;
  return mine;
}

bool Studies::apply(StudyEnded& event) {
  bool mine = false;
  for_each([&](auto& study) {
    if (study.id != event.study) return;
    end(study, event);
    if constexpr (std::is_same_v<decltype(study.asked), ExpertAt>) {
      if (ranking && study.status == Status::cancelled)
        study.status = Status::waiting;  // asked for again meanwhile
    }
    mine = true;
  });
  if (mine) ++version;
  return mine;
}

const Study<pipeline::WhatIfQuestion, pipeline::WhatIf>* Studies::what_if(
    const pipeline::WhatIfQuestion& asked) const {
  return find(what_ifs, asked);
}

const Study<MomentOf, pipeline::ContentScore>* Studies::content(const MomentOf& asked) const {
  return find(contents, asked);
}

Studies::Ranked Studies::ranked(pipeline::Router router, int64_t layer) const {
  Ranked ranked;
  double seconds = 0, left = 0;
  for (const auto& study : mutings) {
    if (study.asked.router != router || (layer >= 0 && study.asked.layer != layer)) continue;
    ++ranked.all;
    ranked.measured += study.status == Status::done;
    ranked.failed += study.status == Status::failed;
    if (study.status == Status::done) seconds += study.seconds;
    if (study.status == Status::asked) ranked.progress += study.progress;
    if (!study.answer && study.status != Status::failed) left += 1 - study.progress;
  }
  const auto ended = static_cast<double>(ranked.measured + ranked.failed);
  if (ranked.measured > 0) ranked.seconds_left = left * seconds / static_cast<double>(ranked.measured);
  if (ranked.all > 0) ranked.progress = (ended + ranked.progress) / static_cast<double>(ranked.all);
  return ranked;
}

std::vector<const Study<ExpertAt, pipeline::MutingEffect>*> Studies::by_effect(pipeline::Router router,
                                                                               int64_t layer) const {
  std::vector<const Study<ExpertAt, pipeline::MutingEffect>*> sorted;
  for (const auto& study : mutings) {
    if (study.answer && study.asked.router == router && (layer < 0 || study.asked.layer == layer))
      sorted.push_back(&study);
  }
  std::ranges::stable_sort(sorted, std::greater(), [](const auto* study) { return study->answer->pixels; });
  return sorted;
}

at::Tensor Studies::effects(pipeline::Router router, int64_t layers, int64_t experts,
                            double pipeline::MutingEffect::*what) const {
  auto table = at::full({layers, experts}, std::numeric_limits<float>::quiet_NaN());
  for (const auto* study : by_effect(router, -1))
    table[study->asked.layer][study->asked.expert] = (*study->answer).*what;
  return table;
}

std::vector<int64_t> Studies::under_way() const {
  std::vector<int64_t> ids;
  const_cast<Studies*>(this)->for_each([&](const StudyState& study) {
    if (study.id >= 0) ids.push_back(study.id);
  });
  return ids;
}

}  // namespace switchyard::studio
