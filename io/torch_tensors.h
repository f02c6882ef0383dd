// Tensors of a PyTorch file: what its pickle claims about storages, and views into them with every claim
// checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/memory_budget.h"
#include "io/torch_pickle.h"

namespace switchyard::io {

struct TorchStorage {
  at::ScalarType dtype;     // uint8 where it has none of its own
  std::uint64_t count = 0;  // elements of that dtype; their bytes fit into 63 bits
  std::uint64_t position = 0;
  c10::Storage data;  // set by the container's reader

  std::uint64_t bytes() const { return count * c10::elementSize(dtype); }
};

using TorchStorages = std::map<std::string_view, TorchStorage>;  // by key

// The storages that the pickle claims. InputError: a malformed claim, or two that disagree on one key.
TorchStorages claimed_storages(const PickleGraph& graph, const std::string& where, MemoryBudget& budget);

// The storage's bytes as memory: in place where they are aligned to its elements (`owner` keeps them alive),
// else copied. InputError: a bool that is neither 0 nor 1. `name` is for messages.
c10::Storage make_storage(const TorchStorage& claim, std::span<std::byte> bytes,
                          const std::shared_ptr<const void>& owner, const std::string& name,
                          MemoryBudget& budget);

// A node of kind `tensor`, as a strided view of its storage, without gradient. Elements that its strides
// repeat count as if they were allocated. InputError: malformed, or outside the storage.
at::Tensor rebuild_tensor(const PickleGraph& graph, const PickleNode& node, const TorchStorages& storages,
                          const std::string& where, MemoryBudget& budget);

}  // namespace switchyard::io
