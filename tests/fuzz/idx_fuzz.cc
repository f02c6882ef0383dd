// IDX: the array of a file, as it is and as gzip packs it, so that changing bytes does not break a checksum.
#include "io/error.h"
#include "io/idx.h"
#include "readers.h"

namespace switchyard::fuzz {
namespace {

bool read(std::string_view file) {
  try {
    const at::Tensor array = io::parse_idx(std::as_bytes(std::span(file)), "fuzz");
    require(array.is_contiguous() && array.numel() > 0 && array.nbytes() <= 1032 * file.size(),
            "an array that was in the file");
    touch(array.const_data_ptr(), array.nbytes());
    return true;
  } catch (const io::InputError&) {
    return false;
  }
}

}  // namespace

bool fuzz_idx(Bytes bytes) {
  const std::string file(as_text(bytes));
  const bool is_read = read(file), is_packed = file.starts_with("\x1f\x8b");
  require(is_packed || read(io::gzip(file)) == is_read, "the same of a packed file");
  return is_read;
}

std::vector<std::string> idx_seeds() {
  std::vector<std::string> seeds;
  for (const std::string& file :
       {io::idx_of({3}, "abc"), io::idx_of({2, 1, 3}, "abcdef"), io::idx_of({1, 1, 1, 1, 1, 1, 1, 2}, "ab"),
        io::idx_of({64, 4}, std::string(256, 'x'))}) {
    seeds.push_back(file);
    seeds.push_back(io::gzip(file));
  }
  append(seeds, io::hostile_idx_files());
  return seeds;
}

}  // namespace switchyard::fuzz
