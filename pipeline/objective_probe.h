// Can the stated objective be right? A question that costs four forwards of a few images.
#pragma once

#include <optional>
#include <string>

#include "dit/transformer.h"

namespace switchyard::pipeline {

/// Shows the model images of one colour in known noise, at two noise levels of each kind of schedule, and
/// compares its one-step answers with what each objective calls right: the noise, the image, noise - image,
/// or the v of both. Returns a warning when the stated objective is off and another one fits clearly better:
/// a text that names both. Diffusion schedules are not told apart from each other (linear, cosine), and an
/// untrained model fits nothing. The same pseudo-random colours and noise in every call.
std::optional<std::string> probe_objective(const dit::DiffusionTransformer& model);

}  // namespace switchyard::pipeline
