// safetensors: tensors that lie inside the file and fill it. Bytes that begin like a header get its length
// put before them, so that changing the header does not break the file.
#include <cstdint>
#include <cstring>
#include <memory>

#include "io/error.h"
#include "io/safetensors.h"
#include "io/text.h"
#include "readers.h"

namespace switchyard::fuzz {

bool fuzz_safetensors(Bytes bytes) {
  std::string file(as_text(bytes));
  if (file.starts_with('{')) {
    const std::size_t end = file.rfind('}');
    const std::size_t header = end == file.npos ? file.size() : end + 1;
    file = io::with_header(file.substr(0, header)) + file.substr(header);
  }
  // Of exactly the bytes' size, so that reading one more is seen.
  const auto owner = std::make_shared<std::vector<std::byte>>(file.size());
  if (!file.empty()) std::memcpy(owner->data(), file.data(), file.size());
  try {
    const io::TensorFile found = io::parse_safetensors(*owner, owner, "fuzz");
    std::size_t size = 0;
    for (const auto& [name, tensor] : found.tensors) {
      require(io::is_utf8(name) && tensor.is_contiguous(), "a contiguous tensor of a readable name");
      touch(tensor.const_data_ptr(), tensor.nbytes());
      size += tensor.nbytes();
    }
    require(size <= file.size(), "tensors that overlap");
    return true;
  } catch (const io::InputError&) {
    return false;
  }
}

std::vector<std::string> safetensors_seeds() {
  std::vector<std::string> seeds = {io::with_header("{}"), "{}"};
  // Every dtype, 24 bits of it each.
  for (const char* dtype :
       {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
    seeds.push_back(std::string(R"({"w":{"dtype":")") + dtype + R"(","shape":[3,1],"data_offsets":[0,3]}})" +
                    std::string(3, '\1'));
  for (const char* dtype : {"I16", "U16", "F16", "BF16"})
    seeds.push_back(std::string(R"({"w":{"dtype":")") + dtype + R"(","shape":[1,2],"data_offsets":[0,4]}})" +
                    "abcd");
  for (const char* dtype : {"I32", "U32", "F32", "I64", "U64", "F64", "C64"})
    seeds.push_back(
        std::string(R"({"w":{"dtype":")") + dtype +
        R"(","shape":[0,2],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})" + "a");
  for (const char* dtype : {"F6_E2M3", "F6_E3M2", "F4"})
    seeds.push_back(std::string(R"({"w":{"dtype":")") + dtype + R"(","shape":[4],"data_offsets":[0,)" +
                    (dtype[1] == '4' ? "2]}}ab" : "3]}}abc"));
  seeds.push_back(
      R"({"__metadata__":{"config":"{}","":"é"},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
      R"("w":{"dtype":"F64","shape":[1],"data_offsets":[1,9]}})"
      "123456789");
  append(seeds, io::hostile_safetensors());
  return seeds;
}

}  // namespace switchyard::fuzz
