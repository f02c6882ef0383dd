// What is measured of a finished run beside drawing: by the worker, in turn with what is drawn, and kept with the run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/gui/studio/worker.h"
#include "pipeline/content_or_place.h"
#include "pipeline/muting.h"
#include "pipeline/what_if.h"

namespace switchyard::studio {

/// How far a study is.
struct StudyState {
  enum class Status { waiting, asked, done, cancelled, failed };  // waiting: for its turn to be asked

  int64_t id = -1;  // of the worker's job; -1: not asked yet
  Status status = Status::waiting;
  double progress = 0;  // 0 .. 1, while it is asked
  double seconds = 0;   // that it took
  std::string message;  // why it failed
};

template <class Asked, class Answer>
struct Study : StudyState {
  Asked asked;
  std::optional<Answer> answer = {};

  Study(Asked what) : asked(std::move(what)) {}
};

struct ExpertAt {
  pipeline::Router router = pipeline::Router::tokens;
  int64_t layer = 0, expert = 0;

  bool operator==(const ExpertAt&) const = default;
};
struct MomentOf {
  int64_t image = 0, step = 0;

  bool operator==(const MomentOf&) const = default;
};

/// Of one run.
struct Studies {
  std::vector<Study<ExpertAt, pipeline::MutingEffect>> mutings;  // "rank the experts"
  bool ranking = false;  // those that wait are asked, one after the other
  std::vector<Study<pipeline::WhatIfQuestion, pipeline::WhatIf>> what_ifs;
  std::vector<Study<MomentOf, pipeline::ContentScore>> contents;
  uint64_t version = 0;  // grows with every change

  /// The study of this job, if it is one of these: progress and end are written down.
  bool apply(const StudyProceeded& event);
  bool apply(StudyEnded& event);

  const Study<pipeline::WhatIfQuestion, pipeline::WhatIf>* what_if(
      const pipeline::WhatIfQuestion& asked) const;
  const Study<MomentOf, pipeline::ContentScore>* content(const MomentOf& asked) const;

  /// Of the mutings of a router, in one layer or (-1) in all: how many there are, are measured, and are under way; and
  /// how long those left will take, in seconds, 0 while unknown.
  struct Ranked {
    int64_t all = 0, measured = 0, failed = 0;
    double progress = 0, seconds_left = 0;
  };
  Ranked ranked(pipeline::Router router, int64_t layer) const;

  /// Those that are measured, the greatest effect in pixels first.
  std::vector<const Study<ExpertAt, pipeline::MutingEffect>*> by_effect(pipeline::Router router,
                                                                        int64_t layer) const;

  /// The same as an atlas [layers, experts] fp32, NaN where it is not measured.
  at::Tensor effects(pipeline::Router router, int64_t layers, int64_t experts,
                     double pipeline::MutingEffect::*what) const;

  /// The ids of what the worker was asked and has not ended.
  std::vector<int64_t> under_way() const;

 private:
  template <class Visit>
  void for_each(Visit visit) {
    for (auto& study : mutings) visit(study);
    for (auto& study : what_ifs) visit(study);
    for (auto& study : contents) visit(study);
  }
};

}  // namespace switchyard::studio
