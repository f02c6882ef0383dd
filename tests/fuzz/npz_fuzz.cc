// NumPy's archives: arrays that hold as many bytes as their shapes say. Bytes that are no zip archive are
// read as the one entry of a stored one, so that changing them does not break its checksum.
#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>

#include "../io/torch_builder.h"
#include "io/error.h"
#include "io/npz.h"
#include "io/zip_archive.h"
#include "readers.h"

namespace switchyard::fuzz {
namespace {

// The named arrays: views where they are stored.
std::map<std::string, at::Tensor> named(const std::string& file, const std::set<std::string>& names) {
  // Of exactly the bytes' size, so that reading one more is seen.
  const auto bytes = std::as_bytes(std::span(file));
  const auto owner = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  return io::parse_npz(*owner, owner, "fuzz", names);
}

void read_alone(const std::string& file, const std::string& name, const at::Tensor& array) {
  const auto arrays = named(file, {name});
  if (arrays.empty()) return;  // libzip tells names that are not plain text in another way
  const auto as_bytes = [](const at::Tensor& a) {
    return std::string_view(static_cast<const char*>(a.const_data_ptr()), a.nbytes());
  };
  require(arrays.at(name).sizes() == array.sizes() && arrays.at(name).scalar_type() == array.scalar_type() &&
              as_bytes(arrays.at(name)) == as_bytes(array),
          "the same array alone");
}

// The same arrays by a path, of a file that lies in memory.
void read_by_path(const std::string& file, const std::map<std::string, at::Tensor>& arrays) {
  const int descriptor = ::memfd_create("fuzz", 0);
  const auto close =
      std::unique_ptr<const int, void (*)(const int*)>(&descriptor, [](const int* d) { ::close(*d); });
  require(
      descriptor >= 0 && ::write(descriptor, file.data(), file.size()) == static_cast<ssize_t>(file.size()),
      "a file in memory");
  const std::filesystem::path path = c10::str("/proc/self/fd/", descriptor);
  std::set<std::string> names;
  for (const auto& [name, array] : arrays) names.insert(name);
  require(io::npz_names(path) == names, "the names of the arrays alone");
  require(io::read_npz(path).size() == arrays.size(), "all arrays by the path");
  require(io::read_npz(path, names).size() <= arrays.size(), "the named arrays by the path");
}

// Of an archive that is no NumPy's, or a damaged one: what can be read of it.
void read_entries(const std::string& file) {
  try {
    named(file, {"a", "absent"});
  } catch (const io::InputError&) {
  }
  try {
    const io::ZipArchive archive(std::as_bytes(std::span(file)), "fuzz");
    for (uint64_t i = 0; i < archive.size(); ++i) {
      const auto content = archive.read(i, 1 << 20);
      touch(content.data(), content.size());
    }
  } catch (const io::InputError&) {
  }
}

}  // namespace

bool fuzz_npz(Bytes bytes) {
  std::string file(as_text(bytes));
  if (!file.empty() && !file.starts_with("PK"))
    file = io::build::zip({{.name = "a.npy", .data = file, .alignment = 1}}, /*zip64=*/false);
  read_entries(file);
  try {
    const auto arrays = io::parse_npz(std::as_bytes(std::span(file)), "fuzz");
    for (const auto& [name, array] : arrays) {
      require(array.is_contiguous() && array.nbytes() <= 1032 * file.size(), "an array that was in the file");
      touch(array.const_data_ptr(), array.nbytes());
      read_alone(file, name, array);
    }
    read_by_path(file, arrays);
    return true;
  } catch (const io::InputError&) {
    return false;
  }
}

std::vector<std::string> npz_seeds() {
  std::vector<std::string> seeds = {""};
  for (const char* dtype : {"|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8", ">i4"})
    for (const auto& [shape, count] : {std::pair{"", 1}, {"2,", 2}, {"1, 0, 3", 0}})
      seeds.push_back(io::npy_of(io::npy_header(dtype, shape), std::string(count * (dtype[2] - '0'), '\1')));
  seeds.push_back(
      io::npy_of("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }\n", std::string(8, '\1')));
  const auto path = std::filesystem::temp_directory_path() / c10::str("switchyard-seed-", ::getpid(), ".npz");
  io::write_npz(path, {{"deflated", at::zeros({40}, at::kInt)}, {"b", at::ones({}, at::kBool)}});
  std::ifstream stream(path, std::ios::binary);
  seeds.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  std::filesystem::remove(path);
  for (const io::Hostile& file : io::hostile_npz_files()) {
    seeds.push_back(file.bytes);
    if (const std::size_t at = file.bytes.find("\x93NUMPY"); at != file.bytes.npos)  // its first entry alone
      seeds.push_back(file.bytes.substr(at, file.bytes.find("PK\x01\x02", at) - at));
  }
  return seeds;
}

}  // namespace switchyard::fuzz
