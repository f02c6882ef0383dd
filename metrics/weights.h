// The weights of a feature network: where their file is found, what it holds, and whether it is the published one.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/state_dict.h"

namespace switchyard::metrics {

/// A file of weights that people download, as its authors published it.
struct PublishedFile {
  std::vector<std::string_view> names;  // that the same bytes are published under
  std::string_view where;               // where it can be had, for the message that it is missing
  std::string_view hash;                // the first digits of its SHA-256; empty where none is published
};

/// `file` itself, or if it is empty the first of the published names in the folder $SWITCHYARD_NETWORKS, or
/// without that variable in .networks and then where torch.hub keeps downloads ($TORCH_HOME or ~/.cache/torch,
/// hub/checkpoints). Throws io::InputError where there is none, saying what to download and where to put it.
std::filesystem::path find_weights(const PublishedFile& published, const std::filesystem::path& file);

/// The tensors of a file, given out by name, each as fp32 memory of its own on `device`.
class Weights {
 public:
  /// Throws io::InputError for a file that cannot be read.
  Weights(const PublishedFile& published, const std::filesystem::path& file, at::Device device);

  /// Throws io::InputError naming what is missing, of another shape, or no float.
  at::Tensor take(const std::string& name, at::IntArrayRef shape);
  at::IntArrayRef shape(const std::string& name) const;  // io::InputError where it is missing
  bool has(const std::string& name) const { return tensors_.contains(name); }
  void pass_over(const std::string& name) { taken_.insert(name); }  // known, but not needed

  /// Throws io::InputError where the file holds other tensors than those taken: it is of another network.
  void require_all_taken() const;

  const std::string& hash() const { return hash_; }        // SHA-256 of the file
  const std::string& warning() const { return warning_; }  // empty, or: not the published file
  const std::filesystem::path& path() const { return path_; }
  at::Device device() const { return device_; }

 private:
  std::filesystem::path path_;
  at::Device device_;
  io::StateDict tensors_;
  std::set<std::string> taken_;
  std::string hash_, warning_;
};

}  // namespace switchyard::metrics
