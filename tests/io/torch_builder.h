// Builds pickles and the files around them by hand: what the tests of the PyTorch reader put into files does
// not depend on the code that they test.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace switchyard::io::build {

using namespace std::string_literals;

// The low bytes of a number, little-endian.
std::string le(std::uint64_t value, int bytes);

// Opcodes that push one value.
std::string text(std::string_view text);
std::string integer(std::int64_t value);
std::string real(double value);
std::string global(std::string_view module, std::string_view name);
std::string tuple(const std::vector<std::string>& elements);
std::string list(const std::vector<std::string>& elements);
std::string dict(const std::vector<std::pair<std::string, std::string>>& items);
std::string reduce(const std::string& callee, const std::vector<std::string>& arguments);
std::string ordered_dict();

// A storage by its persistent id, such as storage("FloatStorage", "0", 24); the legacy format's ends with
// None.
std::string storage(std::string_view type, std::string_view key, std::int64_t count, bool legacy = false);
std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& sizes,
                   const std::vector<std::int64_t>& strides);

// numpy.float64(1e-4): scalar() of `module`, of a dtype ("f8") and bytes; and bytes as protocol 2 writes them, a call of
// encode() with their characters in UTF-8.
std::string numpy_scalar(std::string_view module, std::string_view type, const std::string& bytes);
std::string encoded(std::string_view utf8);

// PROTO 2, the opcodes, STOP.
std::string pickle(const std::string& opcodes);

// An entry of a zip archive; what is set replaces the truth.
struct ZipPart {
  std::string name, data;
  std::optional<std::uint32_t> size = {}, stored = {}, header = {}, crc = {};  // in the directory
  std::optional<std::string> local_name = {};
  std::uint16_t method = 0, flags = 0;
  std::string extra = {};  // of the directory
  int alignment = 64;      // of the data
};
std::string zip(const std::vector<ZipPart>& parts, bool zip64 = true);

// What torch.save writes: these opcodes as data.pkl, and storages as data/KEY.
using Storages = std::vector<std::pair<std::string, std::string>>;
std::string torch_zip(const std::string& opcodes, const Storages& storages = {});
// The legacy format; each storage is preceded by its number of elements (element_size bytes each).
std::string torch_legacy(const std::string& opcodes, const Storages& storages = {}, int element_size = 4);

// The bytes of numbers.
std::string floats(const std::vector<float>& values);

}  // namespace switchyard::io::build
