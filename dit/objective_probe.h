// Can the stated objective be right? A question that costs four forwards of a few images.
#pragma once

#include <optional>
#include <string>

#include "dit/transformer.h"

namespace switchyard::dit {

/// Shows the model noise z at two noise levels of each kind of schedule, with nothing but grey behind it (x =
/// 0), and compares the answers with what each objective makes of them:
///   noise, rectified-flow velocity: z;   clean image: 0;   v: sqrt(alphas_cumprod) z
/// Returns a warning when the stated objective is far off at one of them and another one fits: a text that
/// names both. Diffusion schedules are not told apart from each other (linear, cosine), and an untrained
/// model fits nothing. One pseudo-random z, the same for every call.
std::optional<std::string> probe_objective(const DiffusionTransformer& model);

}  // namespace switchyard::dit
