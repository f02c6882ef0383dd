// The model that is part of the program: assets/solids.safetensors, trained by `switchyard train --preset
// solids`.
#pragma once

#include <cstddef>
#include <span>

extern "C" const std::byte switchyard_embedded_model_begin[];
extern "C" const std::byte switchyard_embedded_model_end[];

namespace switchyard::assets {

inline constexpr const char* kEmbeddedModelName = "solids";

/// The bytes of its safetensors file, valid as long as the program runs.
inline std::span<const std::byte> embedded_model() {
  return {switchyard_embedded_model_begin, switchyard_embedded_model_end};
}

}  // namespace switchyard::assets
