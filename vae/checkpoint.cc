#include "vae/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "io/error.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include "io/own_bytes.h"
#include "io/state_dict.h"
#include "io/tensor_problems.h"
#include "io/text.h"

namespace switchyard::vae {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr std::array kWeights{"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"};

// The older attention key style -> today's, which is ours.
std::string canonical_name(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kStyles{
      {{".query.", ".to_q."}, {".key.", ".to_k."}, {".value.", ".to_v."}, {".proj_attn.", ".to_out.0."}}};
  if (name.find(".attentions.") == name.npos) return name;
  for (const auto& [old, now] : kStyles) {
    if (const auto at = name.find(old); at != name.npos)
      return std::string(name).replace(at, old.size(), now);
  }
  return name;
}

Tensors canonical_tensors(const Tensors& tensors, std::vector<std::string>& problems) {
  Tensors canonical;
  for (const auto& [name, tensor] : tensors) {
    if (!canonical.emplace(canonical_name(name), tensor).second)
      problems.push_back(io::quote(name) + " comes in both key styles");
  }
  return canonical;
}

// [C, C, 1, 1] where [C, C] is expected, else the tensor as it is.
at::Tensor as_matrix(const at::Tensor& tensor, at::IntArrayRef shape) {
  const bool is_convolution =
      tensor.dim() == 4 && shape.size() == 2 && tensor.size(2) == 1 && tensor.size(3) == 1;
  return is_convolution ? tensor.flatten(1) : tensor;
}

VaeConfig read_config(const fs::path& path) {
  constexpr size_t kLongest = 1 << 20;
  const auto size = io::MappedFile(path).bytes().size();
  if (size > kLongest)
    throw io::InputError(path.string() + ": expected at most " + std::to_string(kLongest) +
                         " bytes of configuration, found " + std::to_string(size));
  try {
    return config_from_json(io::read_json(path));
  } catch (const std::invalid_argument& error) {
    throw io::InputError(path.string() + ": " + error.what());
  }
}

bool is_there(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at cannot be read
  return fs::exists(path, ignored);
}

fs::path weights_in(const fs::path& folder) {
  for (const char* name : kWeights) {
    if (is_there(folder / name)) return folder / name;
  }
  throw io::InputError(folder.string() + ": expected " + kWeights[0] + " or " + kWeights[1] +
                       " in this folder, found neither");
}

}  // namespace

Tensors fitting_tensors(const VaeConfig& config, const Tensors& tensors, const std::string& source) {
  std::vector<std::string> problems;
  const auto given = canonical_tensors(tensors, problems);
  Tensors fitting;
  // A first round that makes nothing compares every name and shape.
  Autoencoder(config, [&](const std::string& name, at::IntArrayRef shape) {
    const auto found = given.find(name);
    if (found == given.end()) {
      problems.push_back(name + " is missing");
      return at::Tensor();
    }
    const auto tensor = as_matrix(found->second, shape);
    if (tensor.sizes() != shape) {
      problems.push_back(name + " has shape " + io::shape_text(found->second.sizes()) + ", expected " +
                         io::shape_text(shape));
    } else if (!tensor.is_floating_point()) {
      problems.push_back(name + " holds " + toString(tensor.scalar_type()) + ", expected a float type");
    }
    fitting.emplace(name, tensor);
    return at::Tensor();
  });
  for (const auto& [name, tensor] : given) {
    if (!fitting.contains(name)) problems.push_back(io::quote(name) + " is not part of this autoencoder");
  }
  if (!problems.empty()) io::refuse_tensors(source, "the autoencoder's", problems);
  io::require_own_bytes(fitting, source);
  return fitting;
}

AutoencoderFile open_autoencoder(const fs::path& path) {
  std::error_code ignored;
  const auto weights = fs::is_directory(path, ignored) ? weights_in(path) : path;
  const auto config_file = weights.parent_path() / kConfig;
  const bool has_config = is_there(config_file);
  // The configuration first: it is small and says at once when this is something else.
  auto config = has_config ? read_config(config_file) : VaeConfig{};
  const auto tensors = io::read_state_dict(weights);
  if (!has_config) {
    std::vector<std::string> problems;
    try {
      config = infer_config(canonical_tensors(tensors, problems));
    } catch (const std::invalid_argument& error) {
      throw io::InputError(weights.string() + ": " + error.what());
    }
  }
  return {config, fitting_tensors(config, tensors, weights.string()), weights, !has_config};
}

Autoencoder load_autoencoder(const AutoencoderFile& file, const AutoencoderOptions& options) {
  return Autoencoder(
      file.config, [&](const std::string& name, at::IntArrayRef) { return file.tensors.at(name); }, options);
}

}  // namespace switchyard::vae
