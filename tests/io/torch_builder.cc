#include "torch_builder.h"

#include <zlib.h>

#include <bit>
#include <cstring>
#include <initializer_list>

namespace switchyard::io::build {
namespace {

// Not operator+: g++ 12 warns wrongly where it is inlined.
std::string join(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

std::string join(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

std::string counts(const std::vector<std::int64_t>& values) {
  std::vector<std::string> parts;
  for (const std::int64_t value : values) parts.push_back(integer(value));
  return tuple(parts);
}

}  // namespace

std::string le(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

std::string text(std::string_view text) { return join({"X", le(text.size(), 4), text}); }

std::string integer(std::int64_t value) {
  if (value >= 0 && value < 256) return join({"K", le(static_cast<std::uint64_t>(value), 1)});
  return join({"\x8a\x08", le(static_cast<std::uint64_t>(value), 8)});
}

std::string real(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::string digits = le(bits, 8);
  return join({"G", std::string(digits.rbegin(), digits.rend())});
}

std::string global(std::string_view module, std::string_view name) {
  return join({"c", module, "\n", name, "\n"});
}

std::string tuple(const std::vector<std::string>& elements) { return join({"(", join(elements), "t"}); }

std::string list(const std::vector<std::string>& elements) { return join({"](", join(elements), "e"}); }

std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string all = "}(";
  for (const auto& [key, value] : items) all.append(key).append(value);
  return all + "u";
}

std::string reduce(const std::string& callee, const std::vector<std::string>& arguments) {
  return join({callee, tuple(arguments), "R"});
}

std::string ordered_dict() { return reduce(global("collections", "OrderedDict"), {}); }

std::string storage(std::string_view type, std::string_view key, std::int64_t count, bool legacy) {
  std::vector<std::string> id = {text("storage"), global("torch", type), text(key), text("cpu"),
                                 integer(count)};
  if (legacy) id.push_back("N");
  return tuple(id) + "Q";
}

std::string numpy_scalar(std::string_view module, std::string_view type, const std::string& bytes) {
  const auto dtype =
      join({reduce(global("numpy", "dtype"), {text(type), "\x89", "\x88"}),
            tuple({integer(3), text("<"), "N", "N", "N", integer(-1), integer(-1), integer(0)}), "b"});
  return reduce(global(module, "scalar"), {dtype, bytes});
}
std::string encoded(std::string_view utf8) {
  return reduce(global("_codecs", "encode"), {text(utf8), text("latin1")});
}
std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& sizes,
                   const std::vector<std::int64_t>& strides) {
  return reduce(global("torch._utils", "_rebuild_tensor_v2"),
                {storage, integer(offset), counts(sizes), counts(strides), "\x89", ordered_dict()});
}

std::string pickle(const std::string& opcodes) { return join({"\x80\x02", opcodes, "."}); }

std::string zip(const std::vector<ZipPart>& parts, bool zip64) {
  std::string file, directory;
  for (const ZipPart& part : parts) {
    const auto crc = static_cast<std::uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(part.data.data()), static_cast<uInt>(part.data.size())));
    const std::uint64_t header = file.size(), size = part.data.size();
    const std::string local_name = part.local_name.value_or(part.name);
    const std::size_t begin = file.size() + 30 + local_name.size();
    const std::size_t padding = (part.alignment - begin % part.alignment) % part.alignment;
    file += join({"PK\x03\x04", le(0, 2), le(part.flags, 2), le(part.method, 2), le(0, 4), le(crc, 4),
                  le(size, 4), le(size, 4), le(local_name.size(), 2), le(padding, 2), local_name,
                  std::string(padding, 'Z'), part.data});
    const auto told = static_cast<std::uint32_t>(size);
    directory += join({"PK\x01\x02", le(0, 4), le(part.flags, 2), le(part.method, 2), le(0, 4),
                       le(part.crc.value_or(crc), 4), le(part.stored.value_or(told), 4),
                       le(part.size.value_or(told), 4), le(part.name.size(), 2), le(part.extra.size(), 2),
                       le(0, 8), le(0, 2), le(part.header.value_or(static_cast<std::uint32_t>(header)), 4),
                       part.name, part.extra});
  }
  const std::uint64_t begin = file.size(), end = begin + directory.size(), count = parts.size();
  file += directory;
  if (zip64)
    file += join({"PK\x06\x06", le(44, 8), le(0, 8), le(0, 4), le(count, 8), le(count, 8),
                  le(directory.size(), 8), le(begin, 8), "PK\x06\x07", le(0, 4), le(end, 8), le(1, 4)});
  return join({file, "PK\x05\x06", le(0, 4), le(count, 2), le(count, 2), le(directory.size(), 4),
               le(begin, 4), le(0, 2)});
}

std::string torch_zip(const std::string& opcodes, const Storages& storages) {
  std::vector<ZipPart> parts = {{"archive/data.pkl", pickle(opcodes)}, {"archive/byteorder", "little"}};
  for (const auto& [key, data] : storages) parts.push_back({join({"archive/data/", key}), data});
  return zip(parts);
}

std::string torch_legacy(const std::string& opcodes, const Storages& storages, int element_size) {
  std::vector<std::string> keys;
  std::string data;
  for (const auto& [key, bytes] : storages) {
    keys.push_back(text(key));
    data.append(le(bytes.size() / static_cast<std::size_t>(element_size), 8)).append(bytes);
  }
  return join({pickle("\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19"), pickle("M\xe9\x03"),
               pickle(dict({{text("little_endian"), "\x88"}})), pickle(opcodes), pickle(list(keys)), data});
}

std::string floats(const std::vector<float>& values) {
  std::string bytes(values.size() * 4, '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace switchyard::io::build
