#include "io/state_dict.h"

#include <nlohmann/json.hpp>

#include "io/error.h"
#include "io/safetensors.h"
#include "io/text.h"
#include "io/torch_file.h"

namespace switchyard::io {

StateDict read_state_dict(const std::filesystem::path& path) {
  if (!is_torch_file(path)) return read_safetensors(path).tensors;
  return state_dict_of(read_torch_file(path), path.string());
}

StateDict state_dict_of(const TorchValue& root, const std::string& source) {
  if (!root.has_items()) throw InputError(source + ": expected a dict of tensors");
  // Some training programs put the state dict under this key.
  const auto* nested = root.find("state_dict");
  const auto& state = nested && nested->has_items() ? *nested : root;
  StateDict tensors;
  for (const auto& [key, value] : state.items()) {
    if (key.kind != TorchValue::Kind::string || value.kind != TorchValue::Kind::tensor)
      throw InputError(source + ": expected a dict of tensors, found something else at " +
                       quote(to_json(key).dump()));
    tensors.emplace(key.string(), value.tensor());
  }
  return tensors;
}

}  // namespace switchyard::io
