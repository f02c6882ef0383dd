// The features of what a model draws, straight from the drawing: no picture is written.
#pragma once

#include <filesystem>
#include <optional>

#include "metrics/feature_set.h"
#include "pipeline/draw_plan.h"
#include "pipeline/image_plan.h"
#include "pipeline/session.h"

namespace switchyard::evaluation {

struct ModelFeaturesOptions {
  metrics::Wanted wanted = {};
  int64_t batch_size = 16;
  /// Where features are kept as they come, 64 images a file beside a description (pipeline/image_set.h), so that a run
  /// that was ended is gone on with. Empty: they are not.
  std::filesystem::path keep = {};
};

/// Draws the plan's images and hands them to the network. Nothing: the observer cancelled, or said stop. Throws as
/// draw_plan(), and io::InputError where `keep` holds the features of other images.
std::optional<metrics::FeatureSet> features_of(pipeline::Session& session, const pipeline::ImagePlan& plan,
                                               const metrics::FeatureNetwork& network,
                                               const ModelFeaturesOptions& options = {},
                                               const pipeline::PlanObserver& observer = {});

}  // namespace switchyard::evaluation
