// What REDUCE, NEWOBJ and BUILD mean for the names that we know, and for foreign ones: plain nodes, made by us.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "io/error.h"
#include "io/torch_pickle.h"

namespace switchyard::io {

// The graph under construction and the opcode at work.
struct PickleContext {
  PickleGraph graph;
  std::string where;
  std::uint64_t position;  // of the opcode, for messages
  MemoryBudget& budget;

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(where + ": byte " + std::to_string(position) + ": " + what);
  }

  template <class T>
  PickleRef add(PickleNode::Kind kind, T value) {
    budget.take(sizeof(PickleNode), "values");
    if (graph.nodes.size() == std::numeric_limits<PickleRef>::max() - 1) fail("expected fewer values");
    graph.nodes.push_back({kind, position, std::move(value)});
    return static_cast<PickleRef>(graph.nodes.size() - 1);
  }
};

// Each returns the node that results, or throws InputError for what is not allowed.
PickleRef reduce(PickleContext& context, PickleRef callee, PickleRef arguments);
PickleRef new_object(PickleContext& context, PickleRef type, PickleRef arguments,
                     std::optional<PickleRef> keywords = {});
void set_attributes(PickleContext& context, PickleRef target, PickleRef state);

}  // namespace switchyard::io
