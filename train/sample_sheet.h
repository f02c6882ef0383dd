// A look at the model while it learns: a guided grid of the averaged weights, always of the same classes and
// seeds.
#pragma once

#include <filesystem>
#include <functional>

#include "dit/transformer.h"

namespace switchyard::train {

/// One row per class (no more than 20), `columns` seeds 0, 1, ... each, 25 Euler steps at guidance 1.5; a PNG
/// of [-1, 1] images. Asks `go_on` after every step; where it says no, nothing is
/// written and the answer is false.
bool write_sample_sheet(const std::filesystem::path& path, dit::DiffusionTransformer& model,
                        const std::function<bool()>& go_on, int64_t columns = 8);

}  // namespace switchyard::train
