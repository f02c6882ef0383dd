#include <cstdint>
#include <filesystem>

#include "hostile.h"
#include "torch_builder.h"

namespace switchyard::io {
namespace {

using namespace std::string_literals;
using build::dict, build::global, build::integer, build::le, build::list, build::pickle, build::reduce,
    build::storage, build::tensor, build::text, build::torch_legacy, build::torch_zip, build::tuple;
using Shape = std::vector<std::int64_t>;

std::string repeat(const std::string& part, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += part;
  return all;
}

const std::string kData = build::floats({1, 2, 3, 4, 5, 6});

std::string with_tensor(std::int64_t offset, const Shape& sizes, const Shape& strides) {
  return torch_zip(dict({{text("w"), tensor(storage("FloatStorage", "0", 6), offset, sizes, strides)}}),
                   {{"0", kData}});
}

}  // namespace

std::string trap() {
  return (std::filesystem::temp_directory_path() / "switchyard-hostile-pickle-ran").string();
}

std::vector<Hostile> foreign_code() {
  const std::string touch = text("touch "s + trap());
  const std::string system = global("os", "system");
  return {
      {"GLOBAL os.system", torch_zip(system), "\"<os.system>\""},
      {"REDUCE os.system", torch_zip(reduce(system, {touch})),
       "{\"<arguments>\":[\"touch " + trap() + "\"],\"<class>\":\"os.system\"}"},
      {"posix.system", torch_zip(reduce(global("posix", "system"), {touch})), "posix.system"},
      {"builtins.eval", torch_zip(reduce(global("builtins", "eval"), {touch})), "builtins.eval"},
      {"__builtin__.exec", torch_zip(reduce(global("__builtin__", "exec"), {touch})), "__builtin__.exec"},
      {"builtins.getattr", torch_zip(reduce(global("builtins", "getattr"), {text("a"), text("b")})),
       "getattr"},
      {"subprocess.Popen", torch_zip(reduce(global("subprocess", "Popen"), {touch})), "subprocess.Popen"},
      {"STACK_GLOBAL", torch_zip(text("os") + text("system") + "\x93" + tuple({touch}) + "R"), "os.system"},
      {"nested name", torch_zip(global("torch", "_utils._rebuild_tensor_v2")),
       "<torch._utils._rebuild_tensor_v2>"},
      {"name in the wrong module", torch_zip(global("torch", "OrderedDict")), "<torch.OrderedDict>"},
      {"torch.load", torch_zip(reduce(global("torch", "load"), {touch})), "torch.load"},
      {"torch.hub.load", torch_zip(global("torch.hub", "load")), "<torch.hub.load>"},
      {"a module of a model",
       torch_zip(global("torch.nn.modules.linear", "Linear") + ")\x81" + dict({{text("bias"), integer(1)}}) +
                 "b"),
       R"({"<arguments>":[],"<class>":"torch.nn.modules.linear.Linear","bias":1})"},
      {"NEWOBJ_EX", torch_zip(global("a", "B") + ")" + dict({{text("x"), integer(2)}}) + "\x92"),
       R"({"<arguments>":[],"<class>":"a.B","<keywords>":{"x":2}})"},
      {"a state that is no dict", torch_zip(global("a", "B") + ")\x81" + tuple({integer(3)}) + "b"),
       R"({"<arguments>":[],"<class>":"a.B","<state>":[3]})"},
      {"a list by another name",
       torch_zip(reduce(global("a", "List"), {}) + "(" + integer(7) + integer(8) + "e"),
       R"({"2":7,"3":8,"<arguments>":[],"<class>":"a.List"})"},
      {"a dict by another name", torch_zip(reduce(global("a", "Dict"), {}) + text("k") + integer(7) + "s"),
       R"({"<arguments>":[],"<class>":"a.Dict","k":7})"},
      {"a key that is no text",
       torch_zip(reduce(global("a", "Dict"), {}) + tuple({integer(1)}) + integer(7) + "s"),
       R"("<a tuple of 1, byte 16>":7)"},
      {"two keys that are no texts",
       torch_zip(reduce(global("a", "Dict"), {}) + "(" + tuple({integer(1)}) + integer(7) +
                 tuple({integer(2)}) + integer(8) + "u"),
       R"(":8)"},
      {"an attribute that looks like a class",
       torch_zip(global("argparse", "Namespace") + ")\x81" + dict({{text("<class>"), integer(5)}}) + "b"),
       R"({"<class>":5})"},
      {"a storage inside",
       torch_zip(reduce(global("a", "B"), {storage("FloatStorage", "0", 6)}), {{"0", kData}}),
       "[\"<a storage>\"]"},
      {"bytes", torch_zip("C\x03"s + "\xff\0\x1b"s), "\"<3 bytes>\""},
      {"code in a legacy file", torch_legacy(reduce(system, {touch})), "os.system"},
      {"control characters in a name", torch_zip(global("os\x1b[31m", "system")), "<os\\u001b[31m.system>"},
  };
}

std::vector<Hostile> hostile_code() {
  const std::string touch = text("touch "s + trap());
  const std::string system = global("os", "system");
  return {
      {"INST", torch_zip("("s + touch + "ios\nsystem\n"), "refused the opcode INST"},
      {"OBJ", torch_zip("("s + global("os", "system") + touch + "o"), "refused the opcode OBJ"},
      {"OBJ of an allowed name", torch_zip("("s + global("argparse", "Namespace") + "o"),
       "refused the opcode OBJ"},
      {"STACK_GLOBAL of numbers", torch_zip(integer(1) + integer(2) + "\x93"),
       "STACK_GLOBAL: expected two texts"},
      {"a name that is not UTF-8", torch_zip(global("os\xff", "system")), "expected a name in UTF-8"},
      {"an attribute twice",
       torch_zip(global("a", "B") + ")\x81" + dict({{text("x"), integer(1)}}) + "b" +
                 dict({{text("x"), integer(2)}}) + "b"),
       "expected every key of a dict once, found twice the text \"x\""},
      {"a foreign object's attribute that looks like its class",
       torch_zip(global("a", "B") + ")\x81" + dict({{text("<class>"), integer(1)}}) + "b"),
       "expected every key of a dict once, found twice the text \"<class>\""},
      {"a tensor rebuilt by a foreign name",
       torch_zip(dict(
           {{text("w"), reduce(global("torch._tensor", "_rebuild_from_type_v2"),
                               {global("os", "system"), global("torch", "Tensor"), tuple({}), dict({})})}})),
       "expected a function that rebuilds a tensor"},
      {"rebuilding that rebuilds itself",
       torch_zip(
           reduce(global("torch._tensor", "_rebuild_from_type_v2"),
                  {global("torch._tensor", "_rebuild_from_type_v2"), integer(0), tuple({}), integer(0)})),
       "expected a function that rebuilds a tensor"},
      {"NEWOBJ of a dict", torch_zip("})\x81"), "NEWOBJ: expected a class, found a dict"},
      {"NEWOBJ with arguments", torch_zip(global("argparse", "Namespace") + tuple({touch}) + "\x81"),
       "NEWOBJ: expected an empty tuple"},
      {"NEWOBJ_EX of a Namespace", torch_zip(global("argparse", "Namespace") + ")}\x92"),
       "NEWOBJ: expected a class"},
      {"EXT1", torch_zip("\x82\x01"), "refused the opcode EXT1"},
      {"EXT2", torch_zip("\x83\x01\x02"), "refused the opcode EXT2"},
      {"EXT4", torch_zip("\x84\x01\x02\x03\x04"), "refused the opcode EXT4"},
      {"PERSID", torch_zip("Pos.system\n"), "refused the opcode PERSID"},
      {"BINPERSID of a text", torch_zip(touch + "Q"), "BINPERSID: expected a tuple"},
      {"BUILD of a list", torch_zip("]}b"), "BUILD: expected an argparse.Namespace or an OrderedDict"},
      {"BUILD of a name", torch_zip(global("collections", "OrderedDict") + "}b"), "BUILD: expected"},
      {"BUILD with a list", torch_zip(global("argparse", "Namespace") + ")\x81]b"), "dict of attributes"},
      {"BUILD with a number as name",
       torch_zip(global("argparse", "Namespace") + ")\x81" + dict({{integer(1), integer(1)}}) + "b"),
       "BUILD: expected texts"},
      {"REDUCE of a text", torch_zip(touch + ")R"), "REDUCE: expected the name"},
      {"REDUCE without a tuple", torch_zip(global("collections", "OrderedDict") + "]R"),
       "tuple of arguments"},
      {"REDUCE of a storage type", torch_zip(reduce(global("torch", "FloatStorage"), {integer(9)})),
       "torch.FloatStorage is a name that torch.save never writes with arguments"},
      {"BYTEARRAY8", torch_zip("\x96"s + le(1, 8) + "x"), "refused the opcode BYTEARRAY8"},
      {"NEXT_BUFFER", torch_zip("\x97"), "refused the opcode NEXT_BUFFER"},
  };
}

std::vector<Hostile> hostile_pickles() {
  // Each list holds the one before it twice.
  std::string bomb = "]q\x01";
  for (int i = 0; i < 60; ++i)
    bomb +=
        "](h\x01h\x01"
        "eq\x01"s;
  // Texts that are repeated by their memo.
  const std::string echo = "]("s + text(std::string(100'000, 'x')) + "q\x01" + repeat("h\x01", 100'000) + "e";
  const std::string tuples =
      "](" + tuple(std::vector<std::string>(1000, integer(1))) + "q\x01" + repeat("h\x01", 100'000) + "e";
  return {
      {"empty pickle", torch_zip(""), "STOP: expected one value to be left, found 0"},
      {"no STOP", build::zip({{"a/data.pkl", "\x80\x02}"}}), "expected STOP, found the end"},
      {"no PROTO", build::zip({{"a/data.pkl", "}."}}), "begins with PROTO"},
      {"protocol 0", build::zip({{"a/data.pkl", "\x80"s + '\0' + "}."}}), "protocol 2 to 5, found 0"},
      {"protocol 6", build::zip({{"a/data.pkl", "\x80\x06}."}}), "protocol 2 to 5, found 6"},
      {"PROTO twice", torch_zip("\x80\x02}"), "expected an opcode of pickle, found the byte 128"},
      {"bytes after STOP", torch_zip("}.}"), "expected nothing after STOP, found 2 bytes"},
      {"two values", torch_zip("}}"), "found 2"},
      {"unknown opcode", torch_zip("\xff"), "byte 2: expected an opcode of pickle, found the byte 255"},
      {"stack underflow", torch_zip("a"), "values on the stack, found fewer"},
      {"TUPLE3 of two", torch_zip("NN\x87"), "expected 3 values on the stack"},
      {"TUPLE1 across a MARK", torch_zip("N(\x85"), "expected 1 values on the stack"},
      {"no MARK", torch_zip("Nt"), "expected a MARK"},
      {"a MARK is left", torch_zip("N("), "STOP: expected one value"},
      {"memo never stored", torch_zip("h\x07"), "memo index that was stored before, found 7"},
      {"memo of 2^32 - 1", torch_zip("}r\xff\xff\xff\xff"), "memo index below"},
      {"get of 2^32 - 1", torch_zip("j\xff\xff\xff\xff"), "stored before"},
      {"memo of nothing", torch_zip("q\x01"), "expected a value on the stack"},
      {"memo bomb", torch_zip("("s + bomb + "t"), "twice the file's size"},
      {"text bomb", torch_zip(echo), "twice the file's size"},
      {"tuple bomb", torch_zip(tuples), "twice the file's size"},
      {"many values", torch_zip("("s + std::string(2'000'000, 'N') + "t"), "twice the file's size"},
      {"many marks", torch_zip(std::string(2'000'000, '(')), "twice the file's size"},
      {"copies of a set",
       torch_zip("]("s + list(std::vector<std::string>(5000, integer(1))) + "q\x01" +
                 repeat(global("builtins", "set") + "h\x01\x85R", 2000) + "e"),
       "twice the file's size"},
      {"list in itself",
       torch_zip("]q\x01h\x01"
                 "a"s),
       "holds itself"},
      {"dict in itself", torch_zip("}q\x01"s + text("self") + "h\x01s"), "holds itself"},
      {"two lists in each other",
       torch_zip("]q\x01]q\x02h\x01"
                 "a"s
                 "a"),
       "holds itself"},
      {"object in itself", torch_zip(global("argparse", "Namespace") + ")\x81q\x01}" + text("x") + "h\x01sb"),
       "holds itself"},
      {"deep nesting", torch_zip(std::string(1'000, ']') + std::string(999, 'a')), "64 levels"},
      {"deep tuples", torch_zip(")"s + repeat("\x85", 10'000)), "64 levels"},
      {"unterminated name", torch_zip("ctorch"), "expected a line"},
      {"text of 2^32 - 1 bytes",
       torch_zip("X\xff\xff\xff\xff"
                 "abc"s),
       "expected 4294967295 more bytes, found only 4"},
      {"text of 2^64 - 1 bytes", torch_zip("\x8d"s + std::string(8, '\xff') + "abc"),
       "expected 18446744073709551615 more bytes"},
      {"text of -1 bytes",
       torch_zip("T\xff\xff\xff\xff"
                 "abc"s),
       "length of a text, found -1"},
      {"text that is not UTF-8", torch_zip("X\x02"s + std::string(3, '\0') + "\xc3\x28"),
       "expected a text in UTF-8"},
      {"frame of 2^64 - 1 bytes", torch_zip("\x95"s + std::string(8, '\xff') + "}"), "FRAME: expected"},
      {"integer of 255 bytes", torch_zip("\x8a\xff"s + std::string(255, '\x7f')), "at most 32 bytes"},
      {"integer that is cut off", torch_zip("\x8a\x08\x01"), "expected 8 more bytes"},
      {"integer of 4-byte length", torch_zip("\x8b\xff\xff\xff\x7f"), "refused the opcode LONG4"},
      {"text opcode", torch_zip("I42\n"), "refused the opcode INT"},
      {"key without a value", torch_zip("}(Nu"), "key without a value"},
      {"SETITEM of a list", torch_zip("]NNs"), "SETITEM: expected a dict, found a list"},
      {"APPEND to a tuple", torch_zip(")Na"), "APPEND: expected a list, found a tuple"},
      {"key twice", torch_zip(dict({{text("k"), "N"}, {text("k"), "N"}})),
       "once, found twice the text \"k\""},
      {"number twice", torch_zip(dict({{integer(7), "N"}, {integer(7), "N"}})), "found twice the integer 7"},
      {"dict as key", torch_zip(dict({{"}", "N"}})), "as the key of a dict, found a dict"},
      {"tensor as key",
       torch_zip(dict({{tensor(storage("FloatStorage", "0", 6), 0, {}, {}), "N"}}), {{"0", kData}}),
       "as the key of a dict, found a tensor"},
      {"a name as value", torch_zip(global("collections", "OrderedDict")), "plain data, found the name"},
      {"a storage as value", torch_zip(storage("FloatStorage", "0", 6), {{"0", kData}}), "found a storage"},
      {"OrderedDict of a number", torch_zip(reduce(global("collections", "OrderedDict"), {integer(1)})),
       "list of pairs"},
      {"OrderedDict of triples",
       torch_zip(reduce(global("collections", "OrderedDict"), {list({tuple({"N", "N", "N"})})})),
       "pair of key and value"},
      {"device of a number", torch_zip(reduce(global("torch", "device"), {integer(1)})),
       "torch.device: expected"},
  };
}

std::vector<Hostile> hostile_tensors() {
  const auto claim = [](const std::vector<std::string>& id) {
    return torch_zip(tensor(tuple(id) + "Q", 0, {1}, {1}), {{"0", kData}});
  };
  const std::string type = global("torch", "FloatStorage");
  const auto two = [](const std::string& a, const std::string& b) {
    return torch_zip(list({tensor(a, 0, {}, {}), tensor(b, 0, {}, {})}), {{"0", kData}});
  };
  const std::string function = global("torch._utils", "_rebuild_tensor_v2");
  return {
      {"negative size", with_tensor(0, {-1}, {1}), "non-negative integers as its sizes"},
      {"negative stride", with_tensor(0, {2}, {-1}), "non-negative integers as its strides"},
      {"negative offset", with_tensor(-1, {1}, {1}), "offset of at least 0, found -1"},
      {"offset beyond", with_tensor(7, {0}, {1}), "offset of at most 6, found 7"},
      {"offset at the end", with_tensor(6, {1}, {1}), "expected elements in its storage"},
      {"huge offset", with_tensor(std::int64_t{1} << 62, {1}, {1}), "offset of at most 6"},
      {"one too many", with_tensor(0, {7}, {1}), "reaches beyond its storage of 6 elements"},
      {"one too far", with_tensor(1, {2, 3}, {3, 1}), "reaches beyond its storage"},
      {"scalar outside", with_tensor(6, {}, {}), "expected elements in its storage"},
      {"huge stride", with_tensor(0, {2}, {std::int64_t{1} << 62}), "strides within its storage"},
      {"stride that overflows", with_tensor(0, {5}, {(std::int64_t{1} << 62)}), "strides within its storage"},
      {"strides that sum up", with_tensor(0, {2, 2}, {5, 1}), "reaches beyond its storage"},
      {"huge stride of one element", with_tensor(0, {1}, {std::int64_t{1} << 62}),
       "strides within its storage"},
      {"sizes that overflow", with_tensor(0, {std::int64_t{1} << 32, std::int64_t{1} << 32}, {0, 0}),
       "fewer than 2^63 bytes"},
      {"sizes that overflow beside a zero",
       with_tensor(0, {0, std::int64_t{1} << 32, std::int64_t{1} << 32}, {0, 0, 0}), "fewer than 2^63 bytes"},
      {"repeated elements", with_tensor(0, {std::int64_t{1} << 40}, {0}), "tensors of repeated elements"},
      {"more strides than sizes", with_tensor(0, {2}, {1, 1}), "as many strides as sizes (1), found 2"},
      {"65 dimensions", with_tensor(0, Shape(65, 1), Shape(65, 1)), "at most 64 dimensions, found 65"},
      {"sizes are a number",
       torch_zip(reduce(function,
                        {storage("FloatStorage", "0", 6), integer(0), integer(1), tuple({}), "\x89", "N"}),
                 {{"0", kData}}),
       "expected a tuple as its sizes"},
      {"size is a number with a fraction",
       torch_zip(reduce(function, {storage("FloatStorage", "0", 6), integer(0), tuple({build::real(1)}),
                                   tuple({integer(1)}), "\x89", "N"}),
                 {{"0", kData}}),
       "non-negative integers as its sizes, found the number"},
      {"no storage", torch_zip(tensor("N", 0, {1}, {1})), "expected a storage, an offset"},
      {"too few arguments", torch_zip(reduce(function, {})), "expected a storage, an offset"},
      {"too many arguments",
       torch_zip(reduce(function, {storage("FloatStorage", "0", 6), integer(0), tuple({}), tuple({}), "\x89",
                                   "N", "N", "N"}),
                 {{"0", kData}}),
       "expected a storage, an offset"},
      {"parameter of a number",
       torch_zip(reduce(global("torch._utils", "_rebuild_parameter"), {integer(1), "\x88", "N"})),
       "expected a tensor, requires_grad"},
      {"bool of two", torch_zip(tensor(storage("BoolStorage", "0", 2), 0, {2}, {1}), {{"0", "\x01\x02"}}),
       "expected bytes 0 and 1 for bool, found 2"},
      {"bool by another way",
       torch_zip(reduce(global("torch._utils", "_rebuild_tensor_v3"),
                        {tuple({text("storage"), global("torch.storage", "UntypedStorage"), text("0"),
                                text("cpu"), integer(1)}) +
                             "Q",
                         integer(0), tuple({}), tuple({}), "\x89", "N", global("torch", "bool")}),
                 {{"0", "\x02"}}),
       "a dtype other than bool"},

      {"storage shorter than claimed",
       torch_zip(tensor(storage("FloatStorage", "0", 7), 0, {}, {}), {{"0", kData}}),
       "expected 28 bytes as data.pkl says, found 24"},
      {"storage longer than claimed",
       torch_zip(tensor(storage("FloatStorage", "0", 5), 0, {}, {}), {{"0", kData}}),
       "expected 20 bytes as data.pkl says, found 24"},
      {"storage of -1", torch_zip(tensor(storage("FloatStorage", "0", -1), 0, {}, {}), {{"0", kData}}),
       "number of elements, found the integer -1"},
      {"storage of 2^62",
       torch_zip(tensor(storage("FloatStorage", "0", std::int64_t{1} << 62), 0, {}, {}), {{"0", kData}}),
       "number of elements, found"},
      {"storage that is missing",
       torch_zip(tensor(storage("FloatStorage", "1", 6), 0, {}, {}), {{"0", kData}}),
       "expected the zip entry \"archive/data/1\", found none"},
      {"storage key that climbs",
       torch_zip(tensor(storage("FloatStorage", "../../etc/passwd", 6), 0, {}, {})), "found none"},
      {"two sizes for one key", two(storage("FloatStorage", "0", 6), storage("FloatStorage", "0", 5)),
       "expected one type and size"},
      {"two types for one key", two(storage("FloatStorage", "0", 6), storage("IntStorage", "0", 6)),
       "expected one type and size"},
      {"storage without parts", claim({}), "expected the text \"storage\", found nothing"},
      {"not a storage", claim({text("module"), type, text("0"), text("cpu"), integer(6)}),
       "the text \"storage\""},
      {"type is a text", claim({text("storage"), text("x"), text("0"), text("cpu"), integer(6)}),
       "a storage type"},
      {"type is no storage",
       claim({text("storage"), global("torch", "Size"), text("0"), text("cpu"), integer(6)}),
       "a storage type"},
      {"key is a number", claim({text("storage"), type, integer(0), text("cpu"), integer(6)}),
       "bytes as key, found the integer 0"},
      {"key of 257 bytes",
       claim({text("storage"), type, text(std::string(257, '0')), text("cpu"), integer(6)}),
       "a text of at most 256 bytes as key"},
      {"location is a number", claim({text("storage"), type, text("0"), integer(0), integer(6)}),
       "as location"},
      {"count is a text", claim({text("storage"), type, text("0"), text("cpu"), text("6")}),
       "number of elements"},
      {"view of a storage", claim({text("storage"), type, text("0"), text("cpu"), integer(6), tuple({})}),
       "views of storages"},
      {"quantized storage", torch_zip(storage("QInt8Storage", "0", 6)),
       "expected a storage type, found the name \"torch.QInt8Storage\""},
  };
}

std::vector<Hostile> hostile_legacy_files() {
  const std::string object = tensor(storage("FloatStorage", "7", 6, true), 0, {6}, {1});
  const std::string good = torch_legacy(object, {{"7", kData}});
  const auto changed = [&](const std::string& from, const std::string& to) {
    const std::size_t at = good.find(from);
    return good.substr(0, at).append(to).append(good, at + from.size());
  };
  return {
      {"another protocol version", changed("M\xe9\x03", "M\xe8\x03"),
       "protocol 1001, found the integer 1000"},
      {"big-endian", changed("\x88u.", "\x89u."), "little_endian: expected True, found False"},
      {"no byte order", changed("little_endian", "little_endlan"), "tell little_endian, found nothing"},
      {"storage cut off", good.substr(0, good.size() - 1), "(truncated file?)"},
      {"count cut off", good.substr(0, good.size() - 25), "expected 8 bytes"},
      {"bytes after the last storage", good + "x", "expected nothing after the last storage, found 1 bytes"},
      {"another count", torch_legacy(object, {{"7", kData + kData}}),
       "expected 6 elements as the object says, found 12"},
      {"another key", torch_legacy(object, {{"8", kData}}), "key of a storage that the object uses"},
      {"no storages", torch_legacy(object, {}), "expected the data of 1 storages, found 0"},
      {"storage twice", torch_legacy(object, {{"7", kData}, {"7", kData}}),
       "every storage once, found twice"},
      {"keys are not a list",
       changed("](X\x01"s + std::string(3, '\0') + "7e.", "}(X\x01"s + std::string(3, '\0') + "7Nu."),
       "list of storage keys, found a dict"},
      {"magic number of another kind", changed("\x8a\x0a", "}\x8a"), "magic number"},
  };
}

}  // namespace switchyard::io
