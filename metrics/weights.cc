#include "metrics/weights.h"

#include <ATen/ATen.h>

#include <cstdlib>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/own_bytes.h"
#include "io/sha256.h"
#include "io/tensor_problems.h"

namespace switchyard::metrics {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::vector<fs::path> folders() {
  if (const auto own = environment("SWITCHYARD_NETWORKS"); !own.empty()) return {own};
  std::vector<fs::path> found = {".networks"};
  const auto torch = environment("TORCH_HOME"), home = environment("HOME");
  if (!torch.empty()) {
    found.push_back(fs::path(torch) / "hub" / "checkpoints");
  } else if (!home.empty()) {
    found.push_back(fs::path(home) / ".cache" / "torch" / "hub" / "checkpoints");
  }
  return found;
}

}  // namespace

fs::path find_weights(const PublishedFile& published, const fs::path& file) {
  if (!file.empty()) return file;
  const auto places = folders();
  for (const auto& folder : places) {
    for (const auto name : published.names) {
      std::error_code ignored;  // what cannot be looked at cannot be read
      if (fs::exists(folder / name, ignored)) return folder / name;
    }
  }
  throw io::InputError("the network's weights are missing: put " + std::string(published.names.front()) +
                       " (" + std::string(published.where) + ") into the folder " + places.front().string() +
                       ", or name the file");
}

Weights::Weights(const PublishedFile& published, const fs::path& file, at::Device device)
    : path_(find_weights(published, file)), device_(device), tensors_(io::read_state_dict(path_)) {
  io::require_own_bytes(tensors_, path_.string());
  hash_ = io::sha256(io::MappedFile(path_).bytes());
  if (!hash_.starts_with(published.hash))
    warning_ = path_.filename().string() + " is not the published file: its SHA-256 begins with " +
               hash_.substr(0, published.hash.size()) + " instead of " + std::string(published.hash);
}

at::IntArrayRef Weights::shape(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) io::refuse_tensors(path_.string(), "this network's", {name + " is missing"});
  return found->second.sizes();
}

at::Tensor Weights::take(const std::string& name, at::IntArrayRef expected) {
  const auto refuse = [&](const std::string& problem) {
    io::refuse_tensors(path_.string(), "this network's", {name + problem});
  };
  if (shape(name) != expected)
    refuse(" has shape " + io::shape_text(shape(name)) + ", expected " + io::shape_text(expected));
  const auto& tensor = tensors_.at(name);
  if (!tensor.is_floating_point())
    refuse(std::string(" holds ") + toString(tensor.scalar_type()) + ", expected a float type");
  taken_.insert(name);
  return tensor.to(device_, at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
}

void Weights::require_all_taken() const {
  std::vector<std::string> surplus;
  for (const auto& [name, tensor] : tensors_) {
    // A count of training steps that batch normalisation does not use.
    if (!taken_.contains(name) && !name.ends_with(".num_batches_tracked"))
      surplus.push_back(name + " is not part of this network");
  }
  if (!surplus.empty()) io::refuse_tensors(path_.string(), "this network's", surplus);
}

}  // namespace switchyard::metrics
