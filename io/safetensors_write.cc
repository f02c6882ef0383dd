#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "io/safetensors_format.h"
#include "io/text.h"

namespace switchyard::io {

using namespace safetensors_format;

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  struct Output {
    std::string name;
    at::Tensor tensor;
    const Dtype* dtype;
  };
  std::vector<Output> outputs;
  for (const auto& [name, tensor] : tensors) {
    const auto refuse = [&name = name](const std::string& why) {
      throw std::invalid_argument("write_safetensors: tensor " + quote(name) + ": " + why);
    };
    if (name == kMetadata) refuse("the format reserves this name");
    if (!tensor.defined() || tensor.layout() != at::kStrided) refuse("expected a dense tensor");
    const auto known = std::find_if(kDtypes.begin(), kDtypes.end(),
                                    [type = tensor.scalar_type()](const Dtype& d) { return d.type == type; });
    if (known == kDtypes.end())
      refuse(std::string("safetensors has no dtype ") + c10::toString(tensor.scalar_type()));
    if (known->bits < 8 && tensor.dim() == 0) refuse("expected at least one dimension of packed elements");
    outputs.push_back({name, tensor, known});
  }
  std::stable_sort(outputs.begin(), outputs.end(), [](const Output& a, const Output& b) {
    return a.tensor.element_size() > b.tensor.element_size();
  });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  std::uint64_t end = 0;
  for (const Output& output : outputs) {
    const std::uint64_t begin = end;
    end += output.tensor.nbytes();
    auto shape = output.tensor.sizes().vec();
    if (output.dtype->bits < 8) shape.back() *= 8 / output.dtype->bits;
    header[output.name] = {{"dtype", output.dtype->name}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(std::string("write_safetensors: a name or metadata text is not UTF-8: ") +
                                error.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeader)
    throw std::invalid_argument("write_safetensors: the header exceeds 100000000 bytes");

  AtomicFile file(path);
  std::array<unsigned char, kLengthBytes> length{};
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<unsigned char>(text.size() >> (8 * i));
  file.write(length.data(), length.size());
  file.write(text.data(), text.size());
  for (const Output& output : outputs) {
    const at::Tensor data = output.tensor.detach().to(at::kCPU).contiguous();
    if (data.nbytes() > 0) file.write(data.const_data_ptr(), data.nbytes());
  }
  file.commit();
}

}  // namespace switchyard::io
