// The checkpoint of a training run: tensors and texts with a checksum over all of them, and the checkpoint before it, for
// the day on which the last one turns out to be damaged.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "io/safetensors.h"

namespace switchyard::train {

class CheckpointFile {
 public:
  explicit CheckpointFile(const std::filesystem::path& directory);

  /// Whether there is one to go on from, the last or the one before it.
  bool exists() const;

  /// The last one or, where that is missing or damaged, the one before it: then `say` is told why. Checkpoints of older
  /// versions have no checksum and are taken as they are. Throws io::InputError where none can be read.
  io::TensorFile read(const std::function<void(const std::string&)>& say);

  /// Whose contents read() gave; for messages.
  const std::filesystem::path& source() const { return source_; }

  /// Writes the next one, whole or not at all; the last one becomes the one before it, unless it is damaged. At every
  /// moment one of the two can be read. Tensors of any device. Throws io::OutputError.
  void write(std::map<std::string, at::Tensor> tensors, std::map<std::string, std::string> metadata);

 private:
  std::filesystem::path last_, before_, source_;
  bool last_is_good_ = false;
};

}  // namespace switchyard::train
