// Which files are what: models to open, pictures and recipes to restore.
#pragma once

#include <filesystem>

#include "pipeline/model_source.h"

namespace switchyard::studio {

/// The model that is part of the program.
pipeline::ModelSource embedded_model();

enum class FileKind { model, decoder, picture, recipe };

/// By what it begins with, or for a decoder by its tensors: a PNG, a JSON list, an autoencoder as diffusers stores it (a
/// folder, or a safetensors file), or what the model reader may make of it, folders included, those of diffusers
/// before all. Throws io::InputError where there is nothing to read.
FileKind kind_of(const std::filesystem::path& path);

/// The file itself, a folder that is a model, or the one model file in a folder. Throws io::InputError for a folder with none,
/// or with several, which it names.
std::filesystem::path model_file_in(const std::filesystem::path& path);

}  // namespace switchyard::studio
