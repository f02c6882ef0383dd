#include "pipeline/model_source.h"

#include "dit/diffusers_folder.h"
#include "io/error.h"
#include "pipeline/metadata.h"

namespace switchyard::pipeline {
namespace {

// The files that hold its numbers.
std::vector<std::filesystem::path> parts(const std::filesystem::path& file) {
  if (dit::is_diffusers(file)) return dit::weight_files(file);
  return {file};
}

}  // namespace

std::string ModelSource::name() const {
  if (file.empty()) return bytes_name;
  if (!dit::is_diffusers(file)) return file.stem().string();
  std::error_code error;  // a folder is called as it is, "." by its path
  const auto whole = std::filesystem::absolute(file, error).lexically_normal();
  const bool is_folder = whole.has_filename() && std::filesystem::is_directory(whole, error);
  return (is_folder ? whole : whole.parent_path()).filename().string();
}

std::string ModelSource::where() const { return file.empty() ? "embedded in the program" : file.string(); }

int64_t ModelSource::size() const {
  if (file.empty()) return static_cast<int64_t>(bytes.size());
  int64_t sum = 0;
  for (const auto& part : parts(file)) {
    std::error_code error;
    const auto size = std::filesystem::file_size(part, error);
    if (error) throw io::InputError(part.string() + ": " + error.message());
    sum += static_cast<int64_t>(size);
  }
  return sum;
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
  if (file.empty()) return model_hash(bytes, stop);
  const auto files = parts(file);
  if (files.size() == 1) return model_hash(files.front(), stop);
  std::string hashes;  // of shards: of all of theirs
  for (const auto& part : files) hashes += model_hash(part, stop);
  return model_hash(std::as_bytes(std::span(hashes)), stop);
}

}  // namespace switchyard::pipeline
