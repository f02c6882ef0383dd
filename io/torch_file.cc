#include "io/torch_file.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "io/error.h"
#include "io/foreign_file.h"
#include "io/mapped_file.h"
#include "io/memory_budget.h"
#include "io/stored_zip.h"
#include "io/text.h"
#include "io/torch_pickle.h"
#include "io/torch_tensors.h"
#include "io/torch_tree.h"

namespace switchyard::io {
namespace {

using Kind = PickleNode::Kind;

constexpr std::string_view kZipStart = "PK\x03\x04";
// LONG1 of ten bytes: 0x1950a86a20f9469cfc6c.
constexpr std::string_view kLegacyMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::int64_t kLegacyProtocol = 1001;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw InputError(where + ": " + what);
}

bool is_zip(std::span<const std::byte> bytes) { return as_text(bytes).starts_with(kZipStart); }

// The magic number's pickle: PROTO, in protocol 4 a FRAME, then the number.
bool is_legacy(std::span<const std::byte> bytes) {
  const std::string_view start = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 32)));
  return start.starts_with('\x80') && start.find(kLegacyMagic) != start.npos;
}

struct File {
  std::span<std::byte> bytes;
  const std::shared_ptr<const void>& owner;
  const std::string& name;
  MemoryBudget budget;
};

// The one entry PREFIX/data.pkl, PREFIX being a single folder.
const ZipEntry& find_pickle(const std::vector<ZipEntry>& entries, const std::string& file) {
  const ZipEntry* found = nullptr;
  for (const ZipEntry& entry : entries) {
    const std::size_t slash = entry.name.find('/');
    if (slash == entry.name.npos || entry.name.substr(slash) != "/data.pkl") continue;
    if (found != nullptr) fail(file, "expected one data.pkl, found two");
    found = &entry;
  }
  if (found == nullptr)
    fail(file, "expected an entry FOLDER/data.pkl, found none (not written by torch.save?)");
  return *found;
}

TorchValue read_zip(File& file) {
  const auto entries = read_stored_zip(file.bytes, file.name, file.budget);
  const ZipEntry& pickle = find_pickle(entries, file.name);
  const std::string prefix(pickle.name.substr(0, pickle.name.find('/') + 1));
  if (const ZipEntry* entry = find_entry(entries, prefix + "byteorder"); entry != nullptr) {
    const std::string_view order = as_text(checked_data(file.bytes, *entry, file.name));
    if (order != "little") fail(file.name, "byteorder: expected \"little\", found " + quote(order));
  }

  const std::string where = file.name + ": data.pkl";
  const auto program = checked_data(file.bytes, pickle, file.name);
  const PickleGraph graph = parse_torch_pickle(program, where, 0, file.budget);
  if (graph.size != program.size())
    fail(where,
         "expected nothing after STOP, found " + std::to_string(program.size() - graph.size) + " bytes");
  TorchStorages storages = claimed_storages(graph, where, file.budget);
  for (auto& [key, storage] : storages) {
    const std::string name = file.name + ": storage " + quote(key);
    const ZipEntry* entry = find_entry(entries, prefix + "data/" + std::string(key));
    if (entry == nullptr)
      fail(name, "expected the zip entry " + quote(prefix + "data/" + std::string(key)) + ", found none");
    if (entry->size != storage.bytes())
      fail(name, "expected " + std::to_string(storage.bytes()) + " bytes as data.pkl says, found " +
                     std::to_string(entry->size));
    storage.data =
        make_storage(storage, file.bytes.subspan(entry->begin, entry->size), file.owner, name, file.budget);
  }
  return make_tree(graph, storages, where, file.budget);
}

// The pickles of a legacy file, one after the other.
class LegacyReader {
 public:
  explicit LegacyReader(File& file) : file_(file) {}

  TorchValue read() {
    const PickleGraph magic = next("magic number");
    if (root(magic).kind != Kind::big_integer || root(magic).text() != kLegacyMagic.substr(2))
      fail(file_.name, "expected the legacy format's magic number, found " + describe(root(magic)));
    const PickleGraph protocol = next("protocol version");
    if (root(protocol).kind != Kind::integer || root(protocol).integer() != kLegacyProtocol)
      fail(file_.name, "expected the legacy format's protocol 1001, found " + describe(root(protocol)));
    check_system(next("system information"));
    const std::string where = file_.name + ": object";
    const PickleGraph object = next("object");
    TorchStorages storages = claimed_storages(object, where, file_.budget);
    read_storages(next("storage keys"), storages);
    return make_tree(object, storages, where, file_.budget);
  }

 private:
  static const PickleNode& root(const PickleGraph& graph) { return graph[graph.root]; }

  PickleGraph next(const std::string& what) {
    PickleGraph graph =
        parse_torch_pickle(file_.bytes.subspan(at_), file_.name + ": " + what, at_, file_.budget);
    at_ += graph.size;
    return graph;
  }

  void check_system(const PickleGraph& graph) const {
    if (root(graph).kind != Kind::dict)
      fail(file_.name, "expected a dict of system information, found " + describe(root(graph)));
    const auto& items = root(graph).children();
    for (std::size_t i = 0; i < items.size(); i += 2) {
      const PickleNode &key = graph[items[i]], &value = graph[items[i + 1]];
      if (key.kind != Kind::text || key.text() != "little_endian") continue;
      if (value.kind == Kind::boolean && value.flag()) return;
      fail(file_.name, "little_endian: expected True, found " + describe(value));
    }
    fail(file_.name, "expected the system information to tell little_endian, found nothing");
  }

  // In the order of the keys: the number of elements, then the elements.
  void read_storages(const PickleGraph& keys, TorchStorages& storages) {
    if (root(keys).kind != Kind::list)
      fail(file_.name, "expected a list of storage keys, found " + describe(root(keys)));
    std::size_t filled = 0;
    for (const PickleRef ref : root(keys).children()) {
      const PickleNode& key = keys[ref];
      const auto storage = key.kind == Kind::text ? storages.find(key.text()) : storages.end();
      if (storage == storages.end())
        fail(file_.name, "expected the key of a storage that the object uses, found " + describe(key));
      if (storage->second.data) fail(file_.name, "expected every storage once, found twice " + describe(key));
      const std::string name = file_.name + ": storage " + quote(key.text());
      const auto count = take(8, name);
      std::uint64_t told = 0;
      static_assert(std::endian::native == std::endian::little);
      std::memcpy(&told, count.data(), sizeof told);
      if (told != storage->second.count)
        fail(name, "expected " + std::to_string(storage->second.count) +
                       " elements as the object says, found " + std::to_string(told));
      storage->second.data =
          make_storage(storage->second, take(storage->second.bytes(), name), file_.owner, name, file_.budget);
      ++filled;
    }
    if (filled != storages.size())
      fail(file_.name, "expected the data of " + std::to_string(storages.size()) + " storages, found " +
                           std::to_string(filled));
    if (at_ != file_.bytes.size())
      fail(file_.name, "expected nothing after the last storage, found " +
                           std::to_string(file_.bytes.size() - at_) + " bytes");
  }

  std::span<std::byte> take(std::uint64_t size, const std::string& name) {
    if (size > file_.bytes.size() - at_)
      fail(name, "expected " + std::to_string(size) + " bytes at " + std::to_string(at_) + ", found only " +
                     std::to_string(file_.bytes.size() - at_) + " (truncated file?)");
    const auto taken = file_.bytes.subspan(at_, size);
    at_ += size;
    return taken;
  }

  File& file_;
  std::size_t at_ = 0;
};

}  // namespace

bool is_torch_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  return is_zip(file.bytes()) || is_legacy(file.bytes());
}

TorchValue read_torch_file(const std::filesystem::path& path) {
  const auto file = std::make_shared<MappedFile>(path);
  refuse_foreign(file->bytes(), path.string());
  return parse_torch_file(file->bytes(), file, path.string());
}

TorchValue parse_torch_file(std::span<std::byte> bytes, const std::shared_ptr<const void>& owner,
                            const std::string& name) {
  File file{bytes, owner, name, MemoryBudget(bytes.size(), name)};
  if (is_zip(bytes)) return read_zip(file);
  if (is_legacy(bytes)) return LegacyReader(file).read();
  fail(name,
       "expected a file written by torch.save (a zip archive, or the legacy format's magic number), found " +
           quote(as_text(bytes.first(std::min<std::size_t>(bytes.size(), 8)))));
}

}  // namespace switchyard::io
