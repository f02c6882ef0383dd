#include "io/torch_tensors.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "io/error.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using Kind = PickleNode::Kind;

constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
constexpr std::size_t kMaxDimensions = 64, kLongestKey = 256;
constexpr std::uint64_t kObject = 256;  // about what a tensor's or storage's own object takes

[[noreturn]] void fail(const std::string& where, const PickleNode& node, const std::string& what) {
  throw InputError(where + ": byte " + std::to_string(node.position) + ": " + what);
}

// The key under which the node's storage is stored.
std::string_view storage_key(const PickleGraph& graph, const PickleNode& node) {
  return graph[node.children()[2]].text();
}

// ("storage", type, key, location, number of elements), and None in the legacy format.
TorchStorage parse_claim(const PickleGraph& graph, const PickleNode& node, const std::string& where) {
  const std::vector<PickleRef>& parts = node.children();
  const auto require = [&](bool right, std::size_t part, const char* expected) {
    if (!right)
      fail(where, node,
           std::string("storage: expected ") + expected + ", found " +
               (part < parts.size() ? describe(graph[parts[part]]) : "nothing"));
  };
  const auto part_is = [&](std::size_t part, Kind kind) {
    return part < parts.size() && graph[parts[part]].kind == kind;
  };
  require(part_is(0, Kind::text) && graph[parts[0]].text() == "storage", 0, "the text \"storage\"");
  require(part_is(1, Kind::global), 1, "a storage type");
  const TorchGlobal& type = graph[parts[1]].global();
  require(type.role == TorchRole::storage || type.role == TorchRole::untyped_storage, 1, "a storage type");
  require(part_is(2, Kind::text) && graph[parts[2]].text().size() <= kLongestKey, 2,
          "a text of at most 256 bytes as key");
  require(part_is(3, Kind::text), 3, "a text as location");
  require(part_is(4, Kind::integer), 4, "a number of elements");
  const std::int64_t count = graph[parts[4]].integer();
  require(count >= 0 && static_cast<std::uint64_t>(count) <= kMost / c10::elementSize(type.dtype), 4,
          "a number of elements");
  require(parts.size() == 5 || part_is(5, Kind::null), 5,
          "None (views of storages are of versions before 0.4)");
  require(parts.size() <= 6, 6, "at most 6 parts");
  return {type.dtype, static_cast<std::uint64_t>(count), node.position, {}};
}

std::vector<std::int64_t> parse_counts(const PickleGraph& graph, PickleRef ref, const PickleNode& tensor,
                                       const char* what, const std::string& where) {
  const PickleNode& node = graph[ref];
  if (node.kind != Kind::tuple && node.kind != Kind::list)
    fail(where, tensor, std::string("tensor: expected a tuple as its ") + what + ", found " + describe(node));
  if (node.children().size() > kMaxDimensions)
    fail(where, tensor,
         "tensor: expected at most 64 dimensions, found " + std::to_string(node.children().size()));
  std::vector<std::int64_t> counts;
  for (const PickleRef child : node.children()) {
    if (graph[child].kind != Kind::integer || graph[child].integer() < 0)
      fail(where, tensor,
           std::string("tensor: expected non-negative integers as its ") + what + ", found " +
               describe(graph[child]));
    counts.push_back(graph[child].integer());
  }
  return counts;
}

// Checks that every element lies inside the storage of `available` elements; returns the number of elements.
std::uint64_t check_view(const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& strides,
                         std::uint64_t offset, std::uint64_t available, std::uint64_t element_size,
                         const PickleNode& tensor, const std::string& where) {
  if (sizes.size() != strides.size())
    fail(where, tensor,
         "tensor: expected as many strides as sizes (" + std::to_string(sizes.size()) + "), found " +
             std::to_string(strides.size()));
  // A zero counts as one in `extent`, because products of the other sizes must not overflow either.
  std::uint64_t count = 1, extent = 1;
  for (const std::int64_t signed_size : sizes) {
    const auto size = static_cast<std::uint64_t>(signed_size);
    if (extent > kMost / element_size / std::max<std::uint64_t>(size, 1))
      fail(where, tensor, "tensor: expected fewer than 2^63 bytes, found a size of " + std::to_string(size));
    extent *= std::max<std::uint64_t>(size, 1);
    count *= size;
  }
  if (offset > available)
    fail(where, tensor,
         "tensor: expected an offset of at most " + std::to_string(available) + ", found " +
             std::to_string(offset));
  std::uint64_t reach = available - offset;  // elements after the first one that may still be stepped over
  if (count > 0 && reach == 0)
    fail(where, tensor, "tensor: expected elements in its storage, which ends before");
  if (count > 0) --reach;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto stride = static_cast<std::uint64_t>(strides[i]);
    const auto steps = static_cast<std::uint64_t>(std::max<std::int64_t>(sizes[i], 1)) - 1;
    // Where no step is taken the stride is free, but later arithmetic with it must not overflow.
    if (stride > std::max(extent, available))
      fail(where, tensor, "tensor: expected strides within its storage, found " + std::to_string(stride));
    if (count == 0 || steps == 0 || stride == 0) continue;
    if (steps > reach / stride)
      fail(where, tensor,
           "tensor: reaches beyond its storage of " + std::to_string(available) + " elements (size " +
               std::to_string(sizes[i]) + ", stride " + std::to_string(stride) + ")");
    reach -= steps * stride;
  }
  return count;
}

}  // namespace

TorchStorages claimed_storages(const PickleGraph& graph, const std::string& where, MemoryBudget& budget) {
  TorchStorages storages;
  for (const PickleRef ref : graph.storages) {
    const PickleNode& node = graph[ref];
    const TorchStorage claim = parse_claim(graph, node, where);
    const std::string_view key = storage_key(graph, node);
    auto at = storages.find(key);
    if (at == storages.end()) {
      budget.take_block(kObject, "storages");
      at = storages.emplace(key, claim).first;
    }
    if (at->second.dtype != claim.dtype || at->second.count != claim.count)
      fail(where, node,
           "storage " + quote(key) + ": expected one type and size, found two (the other at byte " +
               std::to_string(at->second.position) + ")");
  }
  return storages;
}

c10::Storage make_storage(const TorchStorage& claim, std::span<std::byte> bytes,
                          const std::shared_ptr<const void>& owner, const std::string& name,
                          MemoryBudget& budget) {
  if (claim.dtype == at::kBool) {
    const auto wrong = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
    if (wrong != bytes.end())
      throw InputError(name + ": expected bytes 0 and 1 for bool, found " +
                       std::to_string(std::to_integer<int>(*wrong)));
  }
  const auto options = at::dtype(claim.dtype);
  const auto count = static_cast<std::int64_t>(claim.count);
  // Bytes without a dtype may become elements of any.
  const std::size_t alignment = claim.dtype == at::kByte ? 8 : c10::elementSize(claim.dtype);
  if (!bytes.empty() && reinterpret_cast<std::uintptr_t>(bytes.data()) % alignment == 0)
    return at::from_blob(
               bytes.data(), {count}, [owner](void*) {}, options)
        .storage();
  budget.take_block(bytes.size(), "unaligned storages");
  const at::Tensor copy = at::empty({count}, options);
  if (!bytes.empty()) std::memcpy(copy.data_ptr(), bytes.data(), bytes.size());
  return copy.storage();
}

at::Tensor rebuild_tensor(const PickleGraph& graph, const PickleNode& node, const TorchStorages& storages,
                          const std::string& where, MemoryBudget& budget) {
  const TorchGlobal& function = graph[node.children()[0]].global();
  const std::vector<PickleRef>& arguments = graph[node.children()[1]].children();
  const auto argument_is = [&](std::size_t i, Kind kind) {
    return i < arguments.size() && graph[arguments[i]].kind == kind;
  };
  const bool is_v3 = function.role == TorchRole::rebuild_tensor_v3;
  const std::size_t most = function.role == TorchRole::rebuild_tensor ? 4 : is_v3 ? 8 : 7;
  if (arguments.size() > most ||
      arguments.size() < (is_v3       ? 7
                          : most == 4 ? 4
                                      : 6) ||
      !argument_is(0, Kind::storage) || !argument_is(1, Kind::integer))
    fail(where, node,
         "tensor: expected a storage, an offset, sizes and strides as arguments of " +
             std::string(function.name) + ", found " + std::to_string(arguments.size()) + " others");
  if (arguments.size() == most && most > 4 && !argument_is(most - 1, Kind::null) &&
      !(argument_is(most - 1, Kind::dict) && graph[arguments[most - 1]].children().empty()))
    fail(where, node, "tensor: expected no metadata, found " + describe(graph[arguments[most - 1]]));

  const TorchStorage& storage = storages.at(storage_key(graph, graph[arguments[0]]));
  at::ScalarType dtype = storage.dtype;
  if (is_v3) {
    if (!argument_is(6, Kind::global) || graph[arguments[6]].global().role != TorchRole::dtype ||
        graph[arguments[6]].global().dtype == at::kBool || storage.dtype != at::kByte)
      fail(where, node,
           "tensor: expected bytes and a dtype other than bool, found " + describe(graph[arguments[6]]));
    dtype = graph[arguments[6]].global().dtype;
  }
  const std::int64_t offset = graph[arguments[1]].integer();
  if (offset < 0)
    fail(where, node, "tensor: expected an offset of at least 0, found " + std::to_string(offset));
  const auto sizes = parse_counts(graph, arguments[2], node, "sizes", where);
  const auto strides = parse_counts(graph, arguments[3], node, "strides", where);
  const std::uint64_t element_size = c10::elementSize(dtype), available = storage.bytes() / element_size;
  const std::uint64_t count =
      check_view(sizes, strides, static_cast<std::uint64_t>(offset), available, element_size, node, where);
  if (count > available) budget.take((count - available) * element_size, "tensors of repeated elements");
  budget.take_block(kObject, "tensors");
  const at::NoGradGuard no_grad;
  return at::empty({0}, at::dtype(dtype)).set_(storage.data, offset, sizes, strides);
}

}  // namespace switchyard::io
