#include "io/foreign_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "io/error.h"

namespace switchyard::io {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kLooked = 512;  // of the beginning
constexpr std::size_t kDirectory = 4 << 20;  // of the end, where a zip archive lists its entries

struct Kind {
  std::string_view start, is;
};

constexpr std::array kKinds = {
    Kind{"version https://git-lfs.github.com/spec"sv,
         "is a Git LFS pointer, not the file that it stands for: `git lfs pull` fetches that one"sv},
    Kind{"GGUF"sv, "is a GGUF file, of llama.cpp and its relatives; expected .safetensors or .pt"sv},
    Kind{"\x89HDF\r\n\x1a\n"sv, "is an HDF5 file, as Keras writes them; expected .safetensors or .pt"sv},
    Kind{"\x93NUMPY"sv, "is a NumPy array, not a model"sv},
    Kind{"\x89PNG\r\n\x1a\n"sv, "is a PNG picture, not a model"sv},
    Kind{"\xff\xd8\xff"sv, "is a JPEG picture, not a model"sv},
    Kind{"\x1f\x8b"sv, "is compressed by gzip: unpack it first"sv},
    Kind{"BZh"sv, "is compressed by bzip2: unpack it first"sv},
    Kind{"\xfd\x37zXZ\x00"sv, "is compressed by xz: unpack it first"sv},
    Kind{"\x28\xb5\x2f\xfd"sv, "is compressed by zstd: unpack it first"sv},
    Kind{"7z\xbc\xaf\x27\x1c"sv, "is a 7z archive: unpack it first"sv},
    Kind{"Rar!\x1a\x07"sv, "is a RAR archive: unpack it first"sv},
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// It begins with the length of a JSON object, and that object.
bool is_safetensors(std::string_view all) {
  std::uint64_t length = 0;
  if (all.size() <= sizeof length || all[sizeof length] != '{') return false;
  std::memcpy(&length, all.data(), sizeof length);
  return length <= all.size() - sizeof length;
}

// Without a byte order mark and white space, in small letters.
std::string readable_start(std::string_view start) {
  if (start.starts_with("\xef\xbb\xbf")) start.remove_prefix(3);
  start.remove_prefix(std::min(start.find_first_not_of(" \t\r\n"), start.size()));
  std::string small(start);
  std::ranges::transform(small, small.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return small;
}

// A protobuf message whose first field is a small number (the version) and whose second is the producer's name.
bool is_onnx(std::string_view start) {
  if (start.size() < 8 || start[0] != 0x08 || start[1] < 1 || start[1] > 30 || start[2] != 0x12) return false;
  const auto length = static_cast<unsigned char>(start[3]);
  const auto name = start.substr(4, length);
  return length > 0 && length < 64 && name.size() == length &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isprint(c) != 0; });
}

}  // namespace

std::string foreign_kind(std::span<const std::byte> bytes) {
  const auto all = as_text(bytes), start = all.substr(0, kLooked);
  if (is_safetensors(all)) return "";  // whose length may look like anything
  for (const auto& [first, is] : kKinds)
    if (start.starts_with(first)) return std::string(is);
  const auto text = readable_start(start);
  for (const auto page : {"<!doctype html"sv, "<html"sv, "<?xml"sv, "<head"sv})
    if (text.starts_with(page)) return "is a web page, not a model: the download gave something else than the file";
  if (all.size() > 262 && all.substr(257, 5) == "ustar") return "is a tar archive: unpack it first";
  if (start.starts_with("PK\x03\x04")) {
    const auto directory = all.substr(all.size() - std::min(all.size(), kDirectory));
    if (directory.find("/constants.pkl") != directory.npos)
      return "is a TorchScript program, not a checkpoint: save its state_dict() in Python";
    if (directory.find("/data.pkl") == directory.npos && directory.find(".npy") != directory.npos)
      return "is an .npz archive of arrays, not a model";
    return "";
  }
  if (is_onnx(start)) return "is an ONNX model; expected .safetensors or .pt";
  if (text.starts_with('{') && start.substr(0, 8).find('\0') == start.npos)
    return "is a JSON text, not a model: the tensors are in another file";
  return "";
}

void refuse_foreign(std::span<const std::byte> bytes, const std::string& name) {
  if (const auto is = foreign_kind(bytes); !is.empty()) throw InputError(name + ": " + is);
}

}  // namespace switchyard::io
