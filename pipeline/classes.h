// How people name a model's classes, and how files do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dit/config.h"

namespace switchyard::pipeline {

/// The labels that `names` mean, in that order, each once. A name is a class's name or a unique beginning of
/// it (without case), its index, or "all"; no names mean all. A class "golden retriever, goldie" answers to each of the
/// two. Throws std::invalid_argument with the near misses.
std::vector<int64_t> find_classes(const dit::ModelConfig& config, const std::vector<std::string>& names);

/// The class as part of a file name: "box-frame" for "box frame"; "class-7" where the model gives no usable
/// name. Of synonyms, the first.
std::string class_file_name(const dit::ModelConfig& config, int64_t label);

/// What an image is called where nobody says otherwise: "box-frame-0007.png", by class and seed.
std::string image_file_name(const dit::ModelConfig& config, int64_t label, uint64_t seed);

}  // namespace switchyard::pipeline
