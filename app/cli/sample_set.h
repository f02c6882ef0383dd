// `switchyard sample --set`: a set of images, which can be stopped and filled on.
#pragma once

#include "app/cli/progress.h"
#include "app/cli/sample_options.h"
#include "pipeline/image_plan.h"
#include "pipeline/session.h"

namespace switchyard::app {

/// Draws what the set lacks, as `variant` says where no list does. Throws Cancelled, and what sample does.
void sample_set(const SampleOptions& options, pipeline::Session& session, const pipeline::Variant& variant,
                const std::string& sentence, Progress& progress);

}  // namespace switchyard::app
