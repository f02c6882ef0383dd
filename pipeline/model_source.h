// Which model to open: a file, or bytes that are there already.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>

#include "dit/model_file.h"

namespace switchyard::pipeline {

struct ModelSource {
  std::filesystem::path file = {};        // empty: the bytes
  std::span<const std::byte> bytes = {};  // of a safetensors file, as long as the session lives
  std::string bytes_name = {};            // what they are called
  dit::OpenOptions reading = {};

  std::string name()
      const;  // "solids"; of a file, its name without extension, in whatever bytes; of a folder, its own
  std::string where() const;  // for people: the path, or that it is part of the program
  int64_t size() const;       // bytes; throws io::InputError

  /// Throws io::InputError; see dit::open_model.
  dit::ModelFile open() const;

  /// The same, for someone who computes with the model: throws io::InputError for a file that leaves something to
  /// guess.
  dit::ModelFile open_for_use() const;

  /// model_hash() of pipeline/metadata.h.
  std::string hash(const std::stop_token& stop = {}) const;
};

}  // namespace switchyard::pipeline
