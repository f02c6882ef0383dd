// Python's pickle as inert data: the bytes become a graph of plain nodes, and nothing is ever called.
//
// Understands what torch.save writes in protocols 2 to 5. Names are looked up in torch_globals.h; what is made of
// any other name is an object that says so and holds what it would have been made of. The first opcode that no checkpoint
// needs is refused with its byte position. Source: the opcode table of Python's pickletools module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/memory_budget.h"
#include "io/torch_globals.h"

namespace switchyard::io {

using PickleRef = std::uint32_t;  // an index into PickleGraph::nodes

struct PickleNode {
  enum class Kind : std::uint8_t {
    null,
    boolean,
    integer,
    big_integer,  // text: the bytes of a little-endian two's complement number of more than 64 bits
    real,
    text,            // UTF-8
    bytes,           // text: as they are
    tuple,           // children: elements
    list,            // children: elements
    dict,            // children: key, value, key, value, ...
    object,          // an argparse.Namespace; children: name, value, ...
    foreign_object,  // of a class that is not in torch_globals.h; children as an object's, from kForeignClass on
    global,
    foreign,  // text: a name that is not in torch_globals.h, "numpy.dtype"
    storage,  // children: what torch.save's persistent id holds
    tensor,   // children: the global that rebuilds it, the tuple of its arguments
    device,   // children: type and index
  };
  Kind kind = Kind::null;
  std::uint64_t position = 0;  // of the opcode that made it
  std::variant<std::int64_t, double, std::string_view, const TorchGlobal*, std::vector<PickleRef>> value;

  bool flag() const { return std::get<std::int64_t>(value) != 0; }
  std::int64_t integer() const { return std::get<std::int64_t>(value); }
  double real() const { return std::get<double>(value); }
  std::string_view text() const { return std::get<std::string_view>(value); }
  const TorchGlobal& global() const { return *std::get<const TorchGlobal*>(value); }
  const std::vector<PickleRef>& children() const { return std::get<std::vector<PickleRef>>(value); }
};

// The first attributes of an object of a foreign class: its name, and what it would have been called with; and what it
// would have been told afterwards, where that is no dict of attributes.
inline constexpr std::string_view kForeignClass = "<class>", kForeignArguments = "<arguments>",
                                  kForeignState = "<state>";

// Containers may be shared and may even hold themselves: whoever walks the graph bounds its steps and depth.
struct PickleGraph {
  std::deque<PickleNode> nodes;
  std::deque<std::string> names;  // of foreign nodes
  PickleRef root = 0;
  std::vector<PickleRef> storages;  // every node of that kind, in the file's order
  std::size_t size = 0;             // bytes of the pickle, which ends with its STOP

  const PickleNode& operator[](PickleRef ref) const { return nodes[ref]; }
};

// Texts point into `bytes`, which may go on after the pickle. `where` ("model.pt: data.pkl") stands before
// "byte N" in messages, and `base` is the number of the first byte. InputError: anything else than the above.
PickleGraph parse_torch_pickle(std::span<const std::byte> bytes, const std::string& where, std::uint64_t base,
                               MemoryBudget& budget);

// The name of a foreign object's class; empty for whatever is none.
std::string_view foreign_class(const PickleGraph& graph, const PickleNode& node);

// What a node is, for messages: "a list", "the integer -1", "the text \"abc\"".
std::string describe(const PickleNode& node);

}  // namespace switchyard::io
