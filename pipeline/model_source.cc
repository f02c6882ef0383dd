#include "pipeline/model_source.h"

#include "io/error.h"
#include "pipeline/metadata.h"

namespace switchyard::pipeline {

std::string ModelSource::name() const { return file.empty() ? bytes_name : file.stem().string(); }

std::string ModelSource::where() const { return file.empty() ? "embedded in the program" : file.string(); }

int64_t ModelSource::size() const {
  if (file.empty()) return static_cast<int64_t>(bytes.size());
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) throw io::InputError(file.string() + ": " + error.message());
  return static_cast<int64_t>(size);
}

dit::ModelFile ModelSource::open() const {
  return file.empty() ? dit::open_model(bytes, "embedded model", reading) : dit::open_model(file, reading);
}

dit::ModelFile ModelSource::open_for_use() const {
  auto opened = open();
  const auto heads = opened.origin.find("num_heads");
  if (heads != opened.origin.end() && heads->second == dit::Origin::guessed) {
    throw io::InputError(opened.source +
                         ": does not say how many attention heads it has, and no published model is " +
                         std::to_string(opened.config.hidden_size) + " wide: give --heads");
  }
  return opened;
}

std::string ModelSource::hash(const std::stop_token& stop) const {
  return file.empty() ? model_hash(bytes, stop) : model_hash(file, stop);
}

}  // namespace switchyard::pipeline
