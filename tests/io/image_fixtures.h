// Where the image fixtures lie: FIXTURES/images, or FIXTURES itself; FIXTURES is the environment's
// SWITCHYARD_FIXTURES, by default the folder in this repository. Nothing of a case is known here.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "io/safetensors.h"

namespace switchyard {

inline std::filesystem::path image_fixtures() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const std::filesystem::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  return std::filesystem::is_directory(fixtures / "images") ? fixtures / "images" : fixtures;
}

// Empty where these fixtures do not hold the file.
inline std::map<std::string, at::Tensor> image_fixture(const std::string& file) {
  const auto path = image_fixtures() / file;
  if (!std::filesystem::exists(path)) return {};
  return io::read_safetensors(path).tensors;
}

}  // namespace switchyard
