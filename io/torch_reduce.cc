#include "io/torch_reduce.h"

#include <vector>

namespace switchyard::io {
namespace {

using Kind = PickleNode::Kind;

std::string name_of(const TorchGlobal& global) {
  return std::string(global.module) + "." + std::string(global.name);
}

PickleRef copy(PickleContext& context, Kind kind, const std::vector<PickleRef>& children) {
  context.budget.take_block(children.size() * sizeof(PickleRef), "containers");
  return context.add(kind, children);
}

// OrderedDict() or, as Python 2 wrote it, OrderedDict([[key, value], ...]).
PickleRef ordered_dict(PickleContext& context, const std::vector<PickleRef>& arguments) {
  std::vector<PickleRef> children;
  if (!arguments.empty()) {
    const PickleNode& pairs = context.graph[arguments[0]];
    if (arguments.size() > 1 || pairs.kind != Kind::list)
      context.fail("collections.OrderedDict: expected nothing or a list of pairs, found " + describe(pairs));
    context.budget.take_block(2 * pairs.children().size() * sizeof(PickleRef), "containers");
    children.reserve(2 * pairs.children().size());
    for (const PickleRef ref : pairs.children()) {
      const PickleNode& pair = context.graph[ref];
      if ((pair.kind != Kind::list && pair.kind != Kind::tuple) || pair.children().size() != 2)
        context.fail("collections.OrderedDict: expected a pair of key and value, found " + describe(pair));
      children.insert(children.end(), pair.children().begin(), pair.children().end());
    }
  }
  return context.add(Kind::dict, std::move(children));
}

// What would have been made by calling a foreign name.
PickleRef foreign_object(PickleContext& context, PickleRef callee, PickleRef arguments,
                         std::optional<PickleRef> keywords) {
  std::vector<PickleRef> children;
  const auto add = [&](std::string_view name, PickleRef value) {
    children.push_back(context.add(Kind::text, name));
    children.push_back(value);
  };
  context.budget.take_block((keywords ? 6 : 4) * sizeof(PickleRef), "containers");
  add(kForeignClass, context.add(Kind::text, context.graph[callee].text()));
  add(kForeignArguments, arguments);
  if (keywords) add("<keywords>", *keywords);
  return context.add(Kind::foreign_object, std::move(children));
}

}  // namespace

PickleRef reduce(PickleContext& context, PickleRef callee, PickleRef arguments) {
  const PickleNode& function = context.graph[callee];
  const PickleNode& tuple = context.graph[arguments];
  if (function.kind != Kind::global && function.kind != Kind::foreign)
    context.fail("REDUCE: expected the name of something that torch.save writes, found " +
                 describe(function));
  if (tuple.kind != Kind::tuple)
    context.fail("REDUCE: expected a tuple of arguments, found " + describe(tuple));
  if (function.kind == Kind::foreign) return foreign_object(context, callee, arguments, {});
  const std::vector<PickleRef>& given = tuple.children();
  const auto first_is = [&](Kind kind) { return !given.empty() && context.graph[given[0]].kind == kind; };
  const std::string name = name_of(function.global());
  const auto refuse = [&](const char* expected) {
    context.fail(name + ": expected " + expected + ", found " + std::to_string(given.size()) + " arguments" +
                 (given.empty() ? "" : ", first " + describe(context.graph[given[0]])));
  };

  switch (function.global().role) {
    case TorchRole::ordered_dict:
      return ordered_dict(context, given);
    case TorchRole::counter:
      if (given.empty()) return context.add(Kind::dict, std::vector<PickleRef>{});
      if (given.size() != 1 || !first_is(Kind::dict)) refuse("a dict");
      return copy(context, Kind::dict, context.graph[given[0]].children());
    case TorchRole::set:
      if (given.size() != 1 || !first_is(Kind::list)) refuse("a list");
      return copy(context, Kind::list, context.graph[given[0]].children());
    case TorchRole::size:
      if (given.size() != 1 || !first_is(Kind::tuple)) refuse("a tuple");
      return given[0];
    case TorchRole::device:
      if (given.size() > 2 || !first_is(Kind::text) ||
          (given.size() == 2 && context.graph[given[1]].kind != Kind::integer))
        refuse("a type and an index");
      return copy(context, Kind::device, given);
    case TorchRole::rebuild_tensor:
    case TorchRole::rebuild_tensor_v2:
    case TorchRole::rebuild_tensor_v3:
      context.budget.take_block(2 * sizeof(PickleRef), "tensors");
      return context.add(Kind::tensor, std::vector<PickleRef>{callee, arguments});
    case TorchRole::rebuild_parameter:
      if (given.size() < 3 || !first_is(Kind::tensor)) refuse("a tensor, requires_grad and hooks");
      return given[0];
    case TorchRole::rebuild_subclass:
      if (given.size() != 4 || !first_is(Kind::global) ||
          context.graph[given[0]].global().role == TorchRole::rebuild_subclass)
        refuse("a function that rebuilds a tensor, a type, its arguments and a state");
      return reduce(context, given[0], given[2]);
    case TorchRole::name_space:
    case TorchRole::storage:
    case TorchRole::untyped_storage:
    case TorchRole::dtype:
      break;
  }
  context.fail("REDUCE: " + name + " is a name that torch.save never writes with arguments");
}

PickleRef new_object(PickleContext& context, PickleRef type, PickleRef arguments,
                     std::optional<PickleRef> keywords) {
  const PickleNode& node = context.graph[type];
  if (node.kind == Kind::foreign) return foreign_object(context, type, arguments, keywords);
  if (node.kind != Kind::global || node.global().role != TorchRole::name_space || keywords)
    context.fail("NEWOBJ: expected a class, found " + describe(node));
  const PickleNode& tuple = context.graph[arguments];
  if (tuple.kind != Kind::tuple || !tuple.children().empty())
    context.fail("NEWOBJ: expected an empty tuple of arguments, found " + describe(tuple));
  return context.add(Kind::object, std::vector<PickleRef>{});
}

void set_attributes(PickleContext& context, PickleRef target, PickleRef state) {
  PickleNode& object = context.graph.nodes[target];
  const PickleNode& fields = context.graph[state];
  const bool is_foreign = object.kind == Kind::foreign_object;
  if (is_foreign && fields.kind != Kind::dict) {
    auto& children = std::get<std::vector<PickleRef>>(object.value);
    context.budget.reserve(children, 2, "containers");
    children.push_back(context.add(Kind::text, kForeignState));
    children.push_back(state);
    return;
  }
  if (object.kind != Kind::object && object.kind != Kind::dict && !is_foreign)
    context.fail("BUILD: expected an argparse.Namespace or an OrderedDict, found " + describe(object));
  if (fields.kind != Kind::dict)
    context.fail("BUILD: expected a dict of attributes, found " + describe(fields));
  if (object.kind == Kind::dict) return;  // such as the _metadata of nn.Module.state_dict()
  for (std::size_t i = 0; i < fields.children().size(); i += 2)
    if (context.graph[fields.children()[i]].kind != Kind::text)
      context.fail("BUILD: expected texts as names of attributes, found " +
                   describe(context.graph[fields.children()[i]]));
  auto& children = std::get<std::vector<PickleRef>>(object.value);
  context.budget.reserve(children, fields.children().size(), "containers");
  children.insert(children.end(), fields.children().begin(), fields.children().end());
}

}  // namespace switchyard::io
