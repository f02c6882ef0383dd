#include "train/checkpoint_file.h"

#include <ATen/ATen.h>

#include <span>

#include "io/error.h"
#include "io/sha256.h"

namespace switchyard::train {
namespace fs = std::filesystem;
namespace {

constexpr const char* kChecksum = "sha256";

std::string digest(const void* data, size_t size) {
  return io::sha256(std::span(static_cast<const std::byte*>(data), size));
}

// Of all that the file says: names, texts, shapes, dtypes and numbers. Tensors lie on the CPU, contiguous.
std::string checksum(const std::map<std::string, at::Tensor>& tensors,
                     const std::map<std::string, std::string>& metadata) {
  std::string all;
  const auto add = [&](const std::string& text) { all += std::to_string(text.size()) + ':' + text; };
  for (const auto& [key, text] : metadata) {
    if (key == kChecksum) continue;
    add(key);
    add(text);
  }
  for (const auto& [name, tensor] : tensors) {
    add(name);
    add(c10::toString(tensor.scalar_type()));
    for (const int64_t size : tensor.sizes()) add(std::to_string(size));
    add(digest(tensor.const_data_ptr(), tensor.nbytes()));
  }
  return digest(all.data(), all.size());
}

io::TensorFile read_whole(const fs::path& path) {
  auto file = io::read_safetensors(path);
  const auto stored = file.metadata.find(kChecksum);
  for (const auto& [key, text] : file.metadata) {
    if (key != "recipe" && key != "provenance" && key != kChecksum)
      throw io::InputError(path.string() + ": damaged, or no checkpoint: unknown text \"" +
                           key.substr(0, 80) + "\"");
  }
  if (stored == file.metadata.end()) return file;
  const auto found = checksum(file.tensors, file.metadata);
  if (found != stored->second)
    throw io::InputError(path.string() + ": damaged: expected the checksum " + stored->second.substr(0, 80) +
                         ", its contents have " + found);
  return file;
}

}  // namespace

CheckpointFile::CheckpointFile(const fs::path& directory)
    : last_(directory / "checkpoint.safetensors"), before_(directory / "checkpoint-before.safetensors") {}

bool CheckpointFile::exists() const { return fs::exists(last_) || fs::exists(before_); }

io::TensorFile CheckpointFile::read(const std::function<void(const std::string&)>& say) {
  try {
    auto file = read_whole(source_ = last_);
    last_is_good_ = true;
    return file;
  } catch (const io::InputError& error) {
    if (!fs::exists(before_)) throw;
    auto file = read_whole(source_ = before_);
    if (say) say(std::string(error.what()) + ". Going on from the checkpoint before it, " + before_.string());
    return file;
  }
}

void CheckpointFile::write(std::map<std::string, at::Tensor> tensors,
                           std::map<std::string, std::string> metadata) {
  for (auto& [name, tensor] : tensors) tensor = tensor.detach().to(at::kCPU).contiguous();
  metadata[kChecksum] = checksum(tensors, metadata);
  std::error_code error;
  if (last_is_good_) {
    fs::remove(before_, error);
    fs::create_hard_link(last_, before_, error);
    if (error) fs::rename(last_, before_, error);  // a file system without links
  }
  io::write_safetensors(last_, tensors, metadata);
  last_is_good_ = true;
}

}  // namespace switchyard::train
