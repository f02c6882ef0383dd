// libFuzzer target: whatever the bytes, the PyTorch reader refuses them with an InputError or gives a tree
// whose tensors lie inside them. Inputs that are neither of torch.save's formats are read as the data.pkl of
// an archive with one storage, so that the pickle machine is reached without a zip archive around it.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "../io/torch_builder.h"
#include "io/error.h"
#include "io/torch_file.h"

namespace {

using switchyard::io::TorchValue;

// Touches every byte of a tensor in place, which AddressSanitizer checks.
void read_all(const TorchValue& value) {
  if (value.kind == TorchValue::Kind::tensor) {
    const at::Tensor& tensor = value.tensor();
    std::size_t last = 0;  // in elements
    for (std::int64_t i = 0; i < tensor.dim(); ++i)
      last += static_cast<std::size_t>((tensor.size(i) - 1) * tensor.stride(i));
    if (tensor.numel() == 0) return;
    const auto* begin = static_cast<const unsigned char*>(tensor.const_data_ptr());
    unsigned sum = 0;
    for (std::size_t i = 0; i < (last + 1) * tensor.element_size(); ++i) sum += begin[i];
    volatile unsigned keep = sum;
    static_cast<void>(keep);
  } else if (value.has_elements()) {
    for (const TorchValue& element : value.elements()) read_all(element);
  } else if (value.has_items()) {
    for (const auto& item : value.items()) read_all(item.value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace switchyard::io;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (!bytes.starts_with("PK") && bytes.find("\x8a\x0al\xfc\x9c") == bytes.npos)
    bytes = build::zip({{"a/data.pkl", "\x80\x02" + bytes}, {"a/data/0", std::string(24, '\1')}});
  // Of exactly the bytes' size, so that reading one more is seen.
  const auto owner = std::make_shared<std::vector<std::byte>>(bytes.size());
  if (!bytes.empty()) std::memcpy(owner->data(), bytes.data(), bytes.size());
  try {
    const TorchValue file = parse_torch_file(*owner, owner, "fuzz");
    read_all(file);
    static_cast<void>(to_json(file).dump());  // throws for a text that is not UTF-8
  } catch (const InputError&) {
  }
  return 0;
}
