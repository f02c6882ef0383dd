#include "io/torch_pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "io/text.h"
#include "io/torch_reduce.h"

namespace switchyard::io {
namespace {

using Kind = PickleNode::Kind;

// Opcodes that pickle knows and checkpoints do not need.
constexpr std::array<std::pair<unsigned char, std::string_view>, 23> kRefused{{
    {'0', "POP"},
    {'1', "POP_MARK"},
    {'2', "DUP"},
    {'F', "FLOAT"},
    {'I', "INT"},
    {'L', "LONG"},
    {'S', "STRING"},
    {'V', "UNICODE"},
    {'P', "PERSID"},
    {'d', "DICT"},
    {'l', "LIST"},
    {'g', "GET"},
    {'p', "PUT"},
    {'i', "INST"},
    {'o', "OBJ"},
    {0x82, "EXT1"},
    {0x83, "EXT2"},
    {0x84, "EXT4"},
    {0x8b, "LONG4"},
    {0x91, "FROZENSET"},
    {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"},
    {0x98, "READONLY_BUFFER"},
}};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where, std::uint64_t base,
          MemoryBudget& budget)
      : bytes_(bytes), base_(base), context_{{}, where, base, budget} {}

  PickleGraph run() {
    if (next() != 0x80) fail("expected a pickle, which begins with PROTO");
    if (const auto protocol = take<std::uint8_t>(); protocol < 2 || protocol > 5)
      fail("expected pickle protocol 2 to 5, found " + std::to_string(protocol));
    while (step(next())) {
    }
    if (stack_.size() != 1 || !marks_.empty())
      fail("STOP: expected one value to be left, found " + std::to_string(stack_.size()));
    context_.graph.root = stack_.back();
    context_.graph.size = at_;
    return std::move(context_.graph);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { context_.fail(what); }

  unsigned char next() {
    context_.position = base_ + at_;
    if (at_ == bytes_.size()) fail("expected STOP, found the end of the data (truncated file?)");
    return std::to_integer<unsigned char>(bytes_[at_++]);
  }

  std::span<const std::byte> take_bytes(std::uint64_t size) {
    if (size > bytes_.size() - at_)
      fail("expected " + std::to_string(size) + " more bytes, found only " +
           std::to_string(bytes_.size() - at_) + " (truncated file?)");
    const auto taken = bytes_.subspan(at_, size);
    at_ += size;
    return taken;
  }

  template <class T>
  T take() {
    static_assert(std::endian::native == std::endian::little);
    T value;
    std::memcpy(&value, take_bytes(sizeof value).data(), sizeof value);
    return value;
  }

  static std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::string_view take_line() {
    const std::string_view rest = as_text(bytes_.subspan(at_));
    const std::size_t end = rest.find('\n');
    if (end == rest.npos) fail("expected a line, found no end of it");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  // The stack; what lies below the last mark is out of reach.
  void push(PickleRef ref) {
    context_.budget.reserve(stack_, 1, "values");
    stack_.push_back(ref);
  }
  template <class T>
  void push_new(Kind kind, T value) {
    push(context_.add(kind, std::move(value)));
  }
  PickleRef top() {
    if (stack_.size() == (marks_.empty() ? 0 : marks_.back()))
      fail("expected a value on the stack, found none");
    return stack_.back();
  }
  PickleRef pop() {
    const PickleRef ref = top();
    stack_.pop_back();
    return ref;
  }
  std::vector<PickleRef> pop_last(std::size_t count) {
    if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count)
      fail("expected " + std::to_string(count) + " values on the stack, found fewer");
    context_.budget.take_block(count * sizeof(PickleRef), "containers");
    std::vector<PickleRef> popped(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return popped;
  }
  std::vector<PickleRef> pop_mark() {
    if (marks_.empty()) fail("expected a MARK on the stack, found none");
    std::vector<PickleRef> popped = pop_last(stack_.size() - marks_.back());
    marks_.pop_back();
    return popped;
  }

  void push_text(std::uint64_t size) {
    const std::string_view text = as_text(take_bytes(size));
    if (!is_utf8(text)) fail("expected a text in UTF-8, found " + quote(text));
    push_new(Kind::text, text);
  }

  // Two's complement of any length.
  void push_long(std::size_t size) {
    const std::string_view text = as_text(take_bytes(size));
    if (size > 32) fail("expected an integer of at most 32 bytes, found " + std::to_string(size));
    if (size > 8) return push_new(Kind::big_integer, text);
    std::uint64_t value = size > 0 && (text.back() & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(text[i]);
    push_new(Kind::integer, static_cast<std::int64_t>(value));
  }

  void push_global(std::string_view module, std::string_view name) {
    if (const TorchGlobal* global = find_torch_global(module, name)) return push_new(Kind::global, global);
    if (!is_utf8(module) || !is_utf8(name))
      fail("expected a name in UTF-8, found " + quote(module) + " and " + quote(name));
    context_.budget.take_block(sizeof(std::string) + module.size() + name.size() + 1, "names");
    push_new(
        Kind::foreign,
        std::string_view(context_.graph.names.emplace_back(std::string(module).append(".").append(name))));
  }

  void extend(PickleRef target, Kind kind, const char* opcode, std::vector<PickleRef> added) {
    PickleNode& node = context_.graph.nodes[target];
    const bool is_foreign = node.kind == Kind::foreign_object;
    if (node.kind != kind && !is_foreign)
      fail(std::string(opcode) + ": expected " + (kind == Kind::list ? "a list" : "a dict") + ", found " +
           describe(node));
    if (kind == Kind::dict && added.size() % 2 != 0)
      fail(std::string(opcode) + ": expected keys and values, found a key without a value");
    auto& children = std::get<std::vector<PickleRef>>(node.value);
    if (is_foreign && kind == Kind::list) added = numbered(added, children.size() / 2);
    context_.budget.reserve(children, added.size(), "containers");
    children.insert(children.end(), added.begin(), added.end());
  }

  // The elements of a class that is derived from list, as items of a dict.
  std::vector<PickleRef> numbered(const std::vector<PickleRef>& elements, std::size_t first) {
    context_.budget.take_block(2 * elements.size() * sizeof(PickleRef), "containers");
    std::vector<PickleRef> items;
    for (const PickleRef element : elements) {
      items.push_back(context_.add(Kind::integer, static_cast<std::int64_t>(first++)));
      items.push_back(element);
    }
    return items;
  }

  void put(std::uint64_t index) {
    const PickleRef ref = top();
    if (index > bytes_.size())
      fail("expected a memo index below the number of bytes, found " + std::to_string(index));
    if (index >= memo_.size()) {
      context_.budget.reserve(memo_, index + 1 - memo_.size(), "memo entries");
      memo_.resize(index + 1, kNothing);
    }
    memo_[index] = ref;
  }

  void get(std::uint64_t index) {
    if (index >= memo_.size() || memo_[index] == kNothing)
      fail("expected a memo index that was stored before, found " + std::to_string(index));
    push(memo_[index]);
  }

  void push_storage() {
    const PickleRef id = pop();
    if (context_.graph[id].kind != Kind::tuple)
      fail("BINPERSID: expected a tuple that describes a storage, found " + describe(context_.graph[id]));
    // A class in the legacy format: "module", the class, its file, its source.
    if (const auto& parts = context_.graph[id].children(); parts.size() == 4) {
      const auto& first = context_.graph[parts[0]];
      if (first.kind == Kind::text && first.text() == "module") return push(parts[1]);
    }
    context_.budget.take_block(context_.graph[id].children().size() * sizeof(PickleRef), "storages");
    context_.budget.reserve(context_.graph.storages, 1, "storages");
    const PickleRef storage = context_.add(Kind::storage, context_.graph[id].children());
    context_.graph.storages.push_back(storage);
    push(storage);
  }

  // False after STOP.
  bool step(unsigned char opcode);

  static constexpr PickleRef kNothing = ~PickleRef{0};

  std::span<const std::byte> bytes_;
  std::uint64_t base_;
  std::size_t at_ = 0;
  PickleContext context_;
  std::vector<PickleRef> stack_, memo_;
  std::vector<std::size_t> marks_;
};

bool Machine::step(unsigned char opcode) {
  switch (opcode) {
    case '.':  // STOP
      return false;
    case '(':  // MARK
      context_.budget.reserve(marks_, 1, "values");
      marks_.push_back(stack_.size());
      return true;
    case 0x95:  // FRAME: so many bytes follow; only its honesty matters
      if (const auto size = take<std::uint64_t>(); size > bytes_.size() - at_)
        fail("FRAME: expected " + std::to_string(size) + " more bytes, found only " +
             std::to_string(bytes_.size() - at_) + " (truncated file?)");
      return true;

    case 'N':  // NONE
      return push_new(Kind::null, std::int64_t{0}), true;
    case 0x88:  // NEWTRUE
      return push_new(Kind::boolean, std::int64_t{1}), true;
    case 0x89:  // NEWFALSE
      return push_new(Kind::boolean, std::int64_t{0}), true;
    case 'J':  // BININT
      return push_new(Kind::integer, std::int64_t{take<std::int32_t>()}), true;
    case 'K':  // BININT1
      return push_new(Kind::integer, std::int64_t{take<std::uint8_t>()}), true;
    case 'M':  // BININT2
      return push_new(Kind::integer, std::int64_t{take<std::uint16_t>()}), true;
    case 0x8a:  // LONG1
      return push_long(take<std::uint8_t>()), true;
    case 'G': {  // BINFLOAT, big-endian
      const std::string_view digits = as_text(take_bytes(8));
      std::uint64_t bits = 0;
      for (const char digit : digits) bits = bits << 8 | static_cast<unsigned char>(digit);
      return push_new(Kind::real, std::bit_cast<double>(bits)), true;
    }
    case 'U':   // SHORT_BINSTRING, the text of Python 2
    case 0x8c:  // SHORT_BINUNICODE
      return push_text(take<std::uint8_t>()), true;
    case 'T':  // BINSTRING
      if (const auto size = take<std::int32_t>(); size < 0)
        fail("expected the length of a text, found " + std::to_string(size));
      else
        push_text(static_cast<std::uint64_t>(size));
      return true;
    case 'X':  // BINUNICODE
      return push_text(take<std::uint32_t>()), true;
    case 0x8d:  // BINUNICODE8
      return push_text(take<std::uint64_t>()), true;

    case 'C':  // SHORT_BINBYTES
      return push_new(Kind::bytes, as_text(take_bytes(take<std::uint8_t>()))), true;
    case 'B':  // BINBYTES
      return push_new(Kind::bytes, as_text(take_bytes(take<std::uint32_t>()))), true;
    case 0x8e:  // BINBYTES8
      return push_new(Kind::bytes, as_text(take_bytes(take<std::uint64_t>()))), true;

    case ')':  // EMPTY_TUPLE
      return push_new(Kind::tuple, std::vector<PickleRef>{}), true;
    case 0x85:  // TUPLE1, TUPLE2, TUPLE3
    case 0x86:
    case 0x87:
      return push_new(Kind::tuple, pop_last(opcode - 0x84u)), true;
    case 't':  // TUPLE
      return push_new(Kind::tuple, pop_mark()), true;
    case ']':   // EMPTY_LIST
    case 0x8f:  // EMPTY_SET
      return push_new(Kind::list, std::vector<PickleRef>{}), true;
    case 'a': {  // APPEND
      const std::vector<PickleRef> added = pop_last(1);
      return extend(top(), Kind::list, "APPEND", added), true;
    }
    case 'e':     // APPENDS
    case 0x90: {  // ADDITEMS
      const std::vector<PickleRef> added = pop_mark();
      return extend(top(), Kind::list, "APPENDS", added), true;
    }
    case '}':  // EMPTY_DICT
      return push_new(Kind::dict, std::vector<PickleRef>{}), true;
    case 's': {  // SETITEM
      const std::vector<PickleRef> added = pop_last(2);
      return extend(top(), Kind::dict, "SETITEM", added), true;
    }
    case 'u': {  // SETITEMS
      const std::vector<PickleRef> added = pop_mark();
      return extend(top(), Kind::dict, "SETITEMS", added), true;
    }

    case 'q':  // BINPUT
      return put(take<std::uint8_t>()), true;
    case 'r':  // LONG_BINPUT
      return put(take<std::uint32_t>()), true;
    case 0x94:  // MEMOIZE
      return put(memo_.size()), true;
    case 'h':  // BINGET
      return get(take<std::uint8_t>()), true;
    case 'j':  // LONG_BINGET
      return get(take<std::uint32_t>()), true;

    case 'c': {  // GLOBAL
      const std::string_view module = take_line();
      return push_global(module, take_line()), true;
    }
    case 0x93: {  // STACK_GLOBAL
      const PickleNode &name = context_.graph[pop()], &module = context_.graph[pop()];
      if (name.kind != Kind::text || module.kind != Kind::text)
        fail("STACK_GLOBAL: expected two texts, found " + describe(module) + " and " + describe(name));
      return push_global(module.text(), name.text()), true;
    }
    case 'Q':  // BINPERSID
      return push_storage(), true;
    case 'R': {  // REDUCE
      const PickleRef arguments = pop(), callee = pop();
      return push(reduce(context_, callee, arguments)), true;
    }
    case 0x81: {  // NEWOBJ
      const PickleRef arguments = pop(), type = pop();
      return push(new_object(context_, type, arguments)), true;
    }
    case 0x92: {  // NEWOBJ_EX
      const PickleRef keywords = pop(), arguments = pop(), type = pop();
      return push(new_object(context_, type, arguments, keywords)), true;
    }
    case 'b': {  // BUILD
      const PickleRef state = pop();
      return set_attributes(context_, top(), state), true;
    }
    default:
      break;
  }
  const auto known = std::find_if(kRefused.begin(), kRefused.end(),
                                  [&](const auto& refused) { return refused.first == opcode; });
  if (known != kRefused.end())
    fail("refused the opcode " + std::string(known->second) + ", which no checkpoint needs");
  fail("expected an opcode of pickle, found the byte " + std::to_string(opcode));
}

}  // namespace

PickleGraph parse_torch_pickle(std::span<const std::byte> bytes, const std::string& where, std::uint64_t base,
                               MemoryBudget& budget) {
  return Machine(bytes, where, base, budget).run();
}

std::string_view foreign_class(const PickleGraph& graph, const PickleNode& node) {
  return node.kind == Kind::foreign_object ? graph[node.children()[1]].text() : std::string_view();
}

std::string describe(const PickleNode& node) {
  switch (node.kind) {
    case Kind::null:
      return "None";
    case Kind::boolean:
      return node.flag() ? "True" : "False";
    case Kind::integer:
      return "the integer " + std::to_string(node.integer());
    case Kind::big_integer:
      return "an integer of more than 64 bits";
    case Kind::real:
      return "the number " + std::to_string(node.real());
    case Kind::text:
      return "the text " + quote(node.text());
    case Kind::tuple:
      return "a tuple of " + std::to_string(node.children().size());
    case Kind::list:
      return "a list of " + std::to_string(node.children().size());
    case Kind::dict:
      return "a dict of " + std::to_string(node.children().size() / 2);
    case Kind::bytes:
      return std::to_string(node.text().size()) + " bytes";
    case Kind::object:
      return "an argparse.Namespace";
    case Kind::foreign_object:
      return "an object of a foreign class";
    case Kind::foreign:
      return "the name " + quote(node.text());
    case Kind::global:
      return "the name " + std::string(node.global().module) + "." + std::string(node.global().name);
    case Kind::storage:
      return "a storage";
    case Kind::tensor:
      return "a tensor";
    case Kind::device:
      return "a torch.device";
  }
  return "an unknown value";
}

}  // namespace switchyard::io
