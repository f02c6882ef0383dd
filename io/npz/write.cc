#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/npz.h"
#include "io/npz/format.h"

namespace switchyard::io {

std::string npz_format::npy_header(c10::IntArrayRef shape, std::string_view descr) {
  std::ostringstream header;
  header << "{'descr': '" << descr << "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) header << shape[i] << (i + 1 < shape.size() ? ", " : "");
  header << (shape.size() == 1 ? ",), }" : "), }");
  std::string text = header.str();
  text.append(63 - (kPrefix + text.size()) % 64, ' ');
  text.push_back('\n');
  std::string prefix(kMagic);
  prefix.push_back(static_cast<char>(text.size() & 0xFF));
  prefix.push_back(static_cast<char>(text.size() >> 8));
  return prefix + text;
}

std::string_view npz_format::descr_of(at::ScalarType dtype, const std::string& what) {
  const auto known = std::ranges::find(kDtypes, dtype, [](const auto& d) { return d.second; });
  if (known != kDtypes.end()) return known->first;
  throw std::invalid_argument(what + ": unsupported dtype " + c10::toString(dtype));
}

bool npz_format::add_entry(zip_t* archive, Source source, const std::string& name, zip_int32_t method) {
  constexpr zip_uint32_t kLevel = 6;  // of deflate
  if (!source) return false;
  const zip_int64_t added =
      zip_file_add(archive, (name + std::string(kSuffix)).c_str(), source.get(), ZIP_FL_ENC_UTF_8);
  if (added < 0) return false;
  static_cast<void>(source.release());  // the archive's now
  const auto index = static_cast<zip_uint64_t>(added);
  return zip_set_file_compression(archive, index, method, kLevel) == 0 &&
         zip_file_set_dostime(archive, index, 0, kFixedDate, 0) == 0;
}

namespace {

using namespace npz_format;

std::string npy_file(const std::string& name, const at::Tensor& array) {
  const std::string what = "write_npz: array \"" + name + "\"";
  const auto refuse = [&](const std::string& why) { throw std::invalid_argument(what + ": " + why); };
  if (name.empty() || name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
    refuse("expected a name without slashes");
  if (!array.defined() || array.layout() != at::kStrided) refuse("expected a dense tensor");
  const bool is_bfloat16 = array.scalar_type() == at::kBFloat16;  // which NumPy lacks
  const at::Tensor data =
      array.detach().to(at::kCPU, is_bfloat16 ? at::kFloat : array.scalar_type()).contiguous();
  std::string file = npy_header(data.sizes(), descr_of(data.scalar_type(), what));
  if (data.nbytes() > 0) file.append(static_cast<const char*>(data.const_data_ptr()), data.nbytes());
  return file;
}

}  // namespace

void write_npz(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& arrays) {
  if (arrays.empty()) throw std::invalid_argument("write_npz: expected at least one array");
  const auto refuse = [&](zip_error_t* error) {
    throw OutputError(path.string() + ": cannot be encoded as .npz: " + reason(error));
  };
  std::map<std::string, std::string> files;  // zip reads them when it closes the archive
  for (const auto& [name, array] : arrays) files.emplace(name, npy_file(name, array));

  zip_error_t error;
  zip_error_init(&error);
  const Source output(zip_source_buffer_create(nullptr, 0, 0, &error));
  if (!output) refuse(&error);
  zip_source_keep(output.get());  // one count is ours, the other the archive's
  Archive archive(zip_open_from_source(output.get(), ZIP_TRUNCATE, &error));
  if (!archive) {
    zip_source_free(output.get());
    refuse(&error);
  }
  for (const auto& [name, file] : files) {
    Source source(zip_source_buffer(archive.get(), file.data(), file.size(), 0));
    if (!add_entry(archive.get(), std::move(source), name, ZIP_CM_DEFLATE))
      refuse(zip_get_error(archive.get()));
  }
  if (zip_close(archive.get()) != 0) refuse(zip_get_error(archive.get()));
  static_cast<void>(archive.release());

  AtomicFile target(path);
  if (zip_source_open(output.get()) != 0) refuse(zip_source_error(output.get()));
  std::vector<char> block(std::size_t{1} << 20);
  zip_int64_t count = 0;
  while ((count = zip_source_read(output.get(), block.data(), block.size())) > 0)
    target.write(block.data(), static_cast<std::size_t>(count));
  if (count < 0) refuse(zip_source_error(output.get()));
  zip_source_close(output.get());
  target.commit();
}

}  // namespace switchyard::io
