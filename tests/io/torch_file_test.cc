#include "io/torch_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "io/error.h"
#include "scratch.h"
#include "torch_builder.h"

namespace switchyard::io {
namespace {

using namespace std::string_literals;
using build::dict, build::floats, build::global, build::integer, build::list, build::ordered_dict,
    build::pickle, build::real, build::reduce, build::storage, build::tensor, build::text,
    build::torch_legacy, build::torch_zip, build::tuple;
using Kind = TorchValue::Kind;
using Json = nlohmann::json;

using TorchFileTest = Scratch;

TorchValue parse(const std::string& bytes) {
  const auto owner = std::make_shared<std::string>(bytes);
  return parse_torch_file(std::as_writable_bytes(std::span(*owner)), owner, "memory");
}

std::string numbers(int count) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.push_back(static_cast<float>(i));
  return floats(values);
}

TEST_F(TorchFileTest, PlainValuesOfEveryOpcode) {
  const std::string number_1e20("\x8a\x09\x00\x00\x10\x63\x2d\x5e\xc7\x6b\x05", 11);
  const std::string minus_2_64("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff", 11);
  const std::vector<std::pair<std::string, Json>> cases = {
      {"N", nullptr},
      {"\x88", true},
      {"\x89", false},
      {"K\xff", 255},
      {"M\x01\x80", 32769},
      {"J\xfe\xff\xff\xff", -2},
      {"\x8a"s + '\0', 0},
      {"\x8a\x01\xff", -1},
      {"\x8a\x02\xff"s + '\0', 255},
      {integer(std::numeric_limits<std::int64_t>::min()), std::numeric_limits<std::int64_t>::min()},
      {number_1e20, "100000000000000000000"},
      {minus_2_64, "-18446744073709551616"},
      {real(0.1), 0.1},
      {real(std::nan("")), nullptr},
      {text("n\xc3\xa9"), "n\xc3\xa9"},
      {"U\x02hi", "hi"},
      {"T\x02\0\0\0hi"s, "hi"},
      {"\x8c\x02hi", "hi"},
      {"\x8d\x02\0\0\0\0\0\0\0hi"s, "hi"},
      {")", Json::array()},
      {"N\x85", {nullptr}},
      {"K\x01K\x02\x86", {1, 2}},
      {"K\x01K\x02K\x03\x87", {1, 2, 3}},
      {tuple({"N", tuple({})}), {nullptr, Json::array()}},
      {list({"N", "\x88"}), {nullptr, true}},
      {"]K\x01"
       "a"s,
       {1}},
      {"}" + text("k") + "K\x01s", {{"k", 1}}},
      {"\x8f(K\x01\x90", {1}},
      {"\x95\x01\0\0\0\0\0\0\0N"s, nullptr},
      {"](K\x01\x94h\0e"s, {1, 1}},
      {"](K\x01r\x05\0\0\0j\x05\0\0\0e"s, {1, 1}},
      {dict({{"N", "N"}, {"\x88", "N"}, {integer(7), "N"}, {real(1.5), "N"}}),
       {{"null", nullptr}, {"true", nullptr}, {"7", nullptr}, {"1.5", nullptr}}},
      {reduce(global("builtins", "set"), {list({integer(1)})}), {1}},
      {reduce(global("__builtin__", "frozenset"), {list({integer(1)})}), {1}},
      {reduce(global("collections", "Counter"), {dict({{integer(3), integer(1)}})}), {{"3", 1}}},
      {reduce(global("torch", "Size"), {tuple({integer(2), integer(3)})}), {2, 3}},
      {reduce(global("torch", "device"), {text("cuda"), integer(1)}), "cuda:1"},
      {reduce(global("torch", "device"), {text("cpu")}), "cpu"},
      {global("torch", "bfloat16"), "torch.bfloat16"},
      {"\x8c\x05torch\x8c\x07"
       "float16\x93"s,
       "torch.float16"},
  };
  for (const auto& [opcodes, expected] : cases) {
    SCOPED_TRACE(expected.dump() + " of " +
                 Json(opcodes).dump(-1, ' ', true, Json::error_handler_t::replace));
    EXPECT_EQ(to_json(parse(torch_zip(opcodes))), expected);
    EXPECT_EQ(to_json(parse(torch_legacy(opcodes))), expected);
  }
}

TEST_F(TorchFileTest, NamespaceIsAnObjectOfPlainData) {
  const TorchValue args =
      parse(torch_zip(global("argparse", "Namespace") + ")\x81" +
                      dict({{text("lr"), real(1e-4)}, {text("model"), text("DiT-S/2")}}) + "b"));
  EXPECT_EQ(args.kind, Kind::object);
  ASSERT_NE(args.find("lr"), nullptr);
  EXPECT_EQ(args.find("lr")->real(), 1e-4);
  EXPECT_EQ(args.find("model")->string(), "DiT-S/2");
  EXPECT_EQ(args.find("missing"), nullptr);
}

TEST_F(TorchFileTest, OrderedDictsKeepTheirOrderAndDropTheirAttributes) {
  const TorchValue value =
      parse(torch_zip(ordered_dict() + "(" + text("z") + integer(1) + text("a") + integer(2) + "u" +
                      dict({{text("_metadata"), ordered_dict()}}) + "b"));
  EXPECT_EQ(value.kind, Kind::dict);
  ASSERT_EQ(value.items().size(), 2u);
  EXPECT_EQ(value.items()[0].key.string(), "z");
  EXPECT_EQ(value.items()[1].value.integer(), 2);
}

TEST_F(TorchFileTest, OrderedDictOfPairsAsPython2WroteIt) {
  const TorchValue value =
      parse(torch_zip(reduce(global("collections", "OrderedDict"),
                             {list({list({text("k"), integer(1)}), tuple({text("l"), "N"})})})));
  EXPECT_EQ(to_json(value), Json({{"k", 1}, {"l", nullptr}}));
}

TEST_F(TorchFileTest, WhatIsSharedAppearsInEveryPlace) {
  const TorchValue value = parse(torch_zip("](" + list({integer(1)}) +
                                           "q\x01h\x01"
                                           "e"s));
  EXPECT_EQ(to_json(value), Json::parse("[[1], [1]]"));
}

TEST_F(TorchFileTest, ContainersNestSixtyFourLevelsDeep) {
  EXPECT_NO_THROW(parse(torch_zip(std::string(64, ']') + std::string(63, 'a'))));
  EXPECT_NO_THROW(parse(torch_zip("N" + std::string(64, '\x85'))));
  EXPECT_THROW(parse(torch_zip("N" + std::string(65, '\x85'))), InputError);
}

TEST_F(TorchFileTest, EveryDtypeOfStorage) {
  const std::vector<std::pair<const char*, at::ScalarType>> types = {
      {"FloatStorage", at::kFloat},       {"DoubleStorage", at::kDouble}, {"HalfStorage", at::kHalf},
      {"BFloat16Storage", at::kBFloat16}, {"ByteStorage", at::kByte},     {"CharStorage", at::kChar},
      {"ShortStorage", at::kShort},       {"IntStorage", at::kInt},       {"LongStorage", at::kLong},
      {"BoolStorage", at::kBool}};
  for (const auto& [name, dtype] : types) {
    const at::Tensor expected = at::arange(31, at::kLong).remainder(2).to(dtype);
    const std::string bytes(static_cast<const char*>(expected.const_data_ptr()), expected.nbytes());
    for (const bool legacy : {false, true}) {
      const std::string opcodes = tensor(storage(name, "k", 31, legacy), 0, {31}, {1});
      const int size = static_cast<int>(expected.element_size());
      const TorchValue found =
          parse(legacy ? torch_legacy(opcodes, {{"k", bytes}}, size) : torch_zip(opcodes, {{"k", bytes}}));
      EXPECT_EQ(found.tensor().scalar_type(), dtype) << name;
      EXPECT_TRUE(at::equal(found.tensor(), expected)) << name;
    }
  }
}

TEST_F(TorchFileTest, DtypesWithoutAStorageOfTheirOwn) {
  const std::string bytes = tuple({text("storage"), global("torch.storage", "UntypedStorage"), text("0"),
                                   text("cpu"), integer(6)}) +
                            "Q";
  const std::vector<std::pair<const char*, at::ScalarType>> types = {{"uint16", at::kUInt16},
                                                                     {"float8_e4m3fn", at::kFloat8_e4m3fn}};
  for (const auto& [name, dtype] : types) {
    const std::int64_t count = 6 / static_cast<std::int64_t>(c10::elementSize(dtype));
    const TorchValue found =
        parse(torch_zip(reduce(global("torch._utils", "_rebuild_tensor_v3"),
                               {bytes, integer(0), tuple({integer(count)}), tuple({integer(1)}), "\x89",
                                ordered_dict(), global("torch", name)}),
                        {{"0", "\1\2\3\4\5\6"}}));
    EXPECT_EQ(found.tensor().scalar_type(), dtype);
    EXPECT_EQ(found.tensor().sizes(), at::IntArrayRef({count}));
    EXPECT_EQ(static_cast<const char*>(found.tensor().const_data_ptr())[5], '\6');
  }
}

TEST_F(TorchFileTest, ViewsOfOneStorage) {
  struct Case {
    std::int64_t offset;
    std::vector<std::int64_t> sizes, strides;
  };
  const std::vector<Case> cases = {
      {0, {24}, {1}},       {4, {2, 3}, {3, 1}}, {0, {6, 4}, {1, 6}},        {23, {}, {}},
      {23, {1}, {1}},       {24, {0}, {1}},      {0, {0, 3}, {3, 1}},        {1, {4}, {6}},
      {5, {7, 1}, {0, 24}}, {0, {3, 3}, {1, 1}}, {2, {1, 2, 1}, {24, 21, 5}}};
  const at::Tensor base = at::arange(24, at::kFloat);
  for (const Case& c : cases) {
    const TorchValue found = parse(torch_zip(
        tensor(storage("FloatStorage", "0", 24), c.offset, c.sizes, c.strides), {{"0", numbers(24)}}));
    EXPECT_TRUE(at::equal(found.tensor(), base.as_strided(c.sizes, c.strides, c.offset))) << c.sizes;
    EXPECT_EQ(found.tensor().strides(), at::IntArrayRef(c.strides));
  }
}

TEST_F(TorchFileTest, TensorsShareStorageAsInTheFile) {
  const std::string shared = storage("FloatStorage", "0", 6);
  const TorchValue found =
      parse(torch_zip(list({tensor(shared, 0, {6}, {1}), tensor(shared, 2, {2}, {1})}), {{"0", numbers(6)}}));
  at::Tensor whole = found.elements()[0].tensor();
  whole.fill_(9);
  EXPECT_EQ(found.elements()[1].tensor()[0].item<float>(), 9);
}

TEST_F(TorchFileTest, ParametersAreTensorsWithoutGradient) {
  const std::string data = tensor(storage("FloatStorage", "0", 6), 0, {6}, {1});
  for (const std::string& opcodes :
       {reduce(global("torch._utils", "_rebuild_parameter"), {data, "\x88", ordered_dict()}),
        reduce(global("torch._utils", "_rebuild_parameter_with_state"),
               {data, "\x88", ordered_dict(), "}"})}) {
    const TorchValue found = parse(torch_zip(opcodes, {{"0", numbers(6)}}));
    EXPECT_TRUE(at::equal(found.tensor(), at::arange(6, at::kFloat)));
    EXPECT_FALSE(found.tensor().requires_grad());
    EXPECT_TRUE(found.tensor().is_leaf());
  }
}

TEST_F(TorchFileTest, TensorsSavedOnAGpuComeToTheCpu) {
  for (const char* module : {"torch", "torch.cuda"}) {
    const std::string on_gpu =
        tuple({text("storage"), global(module, "FloatStorage"), text("0"), text("cuda:3"), integer(6)}) + "Q";
    const TorchValue found = parse(torch_zip(tensor(on_gpu, 0, {6}, {1}), {{"0", numbers(6)}}));
    EXPECT_TRUE(found.tensor().is_cpu());
    EXPECT_TRUE(at::equal(found.tensor(), at::arange(6, at::kFloat)));
  }
}

std::string archive(int alignment, bool zip64, const std::string& folder) {
  return build::zip({{folder + "/data.pkl", pickle(tensor(storage("FloatStorage", "0", 6), 0, {6}, {1}))},
                     {.name = folder + "/data/0", .data = numbers(6), .alignment = alignment},
                     {folder + "/version", "3\n"}},
                    zip64);
}

TEST_F(TorchFileTest, AnyFolderNameAndBothKindsOfZip) {
  for (const bool zip64 : {false, true})
    for (const char* folder : {"archive", "model", "a name"})
      EXPECT_TRUE(at::equal(parse(archive(64, zip64, folder)).tensor(), at::arange(6, at::kFloat)));
}

TEST_F(TorchFileTest, AlignedStoragesAreNotCopiedUnalignedOnesAre) {
  for (const auto& [alignment, in_place] : {std::pair{64, true}, std::pair{1, false}}) {
    // One more byte in the folder's name moves the storage when nothing is aligned.
    bool copied = false;
    for (const std::string& folder : {"a"s, "ab"s, "abc"s, "abcd"s}) {
      const auto bytes = std::make_shared<std::string>(archive(alignment, true, folder));
      const TorchValue found = parse_torch_file(std::as_writable_bytes(std::span(*bytes)), bytes, "memory");
      const auto* data = static_cast<const char*>(found.tensor().const_data_ptr());
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 4, 0u);
      EXPECT_TRUE(at::equal(found.tensor(), at::arange(6, at::kFloat)));
      copied |= data < bytes->data() || data >= bytes->data() + bytes->size();
    }
    EXPECT_NE(copied, in_place);
  }
}

TEST_F(TorchFileTest, TensorsOutliveTheFileAndWritingDoesNotChangeIt) {
  const std::string bytes = archive(64, true, "archive");
  at::Tensor kept = read_torch_file(put("a.pt", bytes)).tensor();
  kept.fill_(7);
  EXPECT_EQ(bytes_of("a.pt"), bytes);
  std::filesystem::remove(file("a.pt"));
  EXPECT_EQ(kept.sum().item<float>(), 42);
}

TEST_F(TorchFileTest, WrongByteOrderIsRefused) {
  const std::string file = build::zip({{"a/data.pkl", pickle("}")}, {"a/byteorder", "big"}});
  EXPECT_TRUE(contains(message_of<InputError>([&] { parse(file); }),
                       "byteorder: expected \"little\", found \"big\""));
}

// numpy.float64(1e-4) and its relatives, as protocol 2 writes them (with encode) and as later ones do.
TEST_F(TorchFileTest, NumPysNumbersAreNumbers) {
  const char* const now = "numpy._core.multiarray";
  const std::pair<std::string, const char*> cases[] = {
      {build::numpy_scalar(now, "f8", "C\x08\x2d\x43\x1c\xeb\xe2\x36\x1a\x3f"), "0.0001"},
      {build::numpy_scalar("numpy.core.multiarray", "f8",
                           build::encoded("-C\x1c\xc3\xab\xc3\xa2"
                                          "6\x1a?")),
       "0.0001"},
      {build::numpy_scalar(now, "f4", "C\x04"s + "\0\0\x40\x40"s), "3.0"},
      {build::numpy_scalar(now, "i8", "C\x08\xfe\xff\xff\xff\xff\xff\xff\xff"), "-2"},
      {build::numpy_scalar(now, "b1", "C\x01\x01"), "true"},
      {build::numpy_scalar(now, "u8", "C\x08\xff\xff\xff\xff\xff\xff\xff\xff"), nullptr},
      {build::numpy_scalar(now, "f8", "C\x02\x01\x01"), nullptr},
      {build::numpy_scalar(now, "O8", "C\x08"s + std::string(8, '\0')), nullptr}};
  for (const auto& [opcodes, expected] : cases) {
    const auto read = to_json(parse(torch_zip(opcodes)));
    if (expected != nullptr) {
      EXPECT_EQ(read.dump(), expected);
    } else {
      EXPECT_TRUE(read.is_object()) << read;
    }
  }
}

TEST_F(TorchFileTest, ATensorOfASubclassIsATensor) {
  const auto whole = build::tensor(storage("FloatStorage", "0", 2), 0, {2}, {1});
  // What _rebuild_tensor_v2 is called with is all but the first byte and the last: its name and REDUCE.
  const auto name = global("torch._utils", "_rebuild_tensor_v2");
  ASSERT_TRUE(whole.starts_with(name) && whole.ends_with('R'));
  const auto arguments = whole.substr(name.size(), whole.size() - name.size() - 1);
  const auto value = parse(torch_zip(reduce(global("torch._tensor", "_rebuild_from_type_v2"),
                                            {name, global("my.model", "Weight"), arguments, dict({})}),
                                     {{"0", floats({5, 6})}}));
  ASSERT_EQ(value.kind, TorchValue::Kind::tensor);
  EXPECT_TRUE(at::equal(value.tensor(), at::tensor({5.0F, 6.0F})));
}

TEST_F(TorchFileTest, TheErrorNamesTheFileAndTheByte) {
  const auto path = put("bad.pt", torch_zip("}" + text("k") + "\x97" + "s"));
  const std::string message = message_of<InputError>([&] { read_torch_file(path); });
  EXPECT_TRUE(contains(message, path.string() + ": data.pkl: byte 9: refused the opcode NEXT_BUFFER"));
}

TEST_F(TorchFileTest, InALegacyFileTheByteIsTheFiles) {
  const std::string bytes = torch_legacy("\x97");
  const std::string at = std::to_string(bytes.find('\x97'));
  EXPECT_TRUE(contains(message_of<InputError>([&] { parse(bytes); }), "object: byte " + at + ": refused"));
}

TEST_F(TorchFileTest, RecognisesItsFiles) {
  EXPECT_TRUE(is_torch_file(put("zip", torch_zip("}"))));
  EXPECT_TRUE(is_torch_file(put("legacy", torch_legacy("}"))));
  EXPECT_TRUE(is_torch_file(put("cut", torch_zip("}").substr(0, 10))));
  EXPECT_FALSE(is_torch_file(put("empty", "")));
  EXPECT_FALSE(is_torch_file(put("pickle", pickle("}"))));
  EXPECT_FALSE(is_torch_file(put("safetensors", "\2\0\0\0\0\0\0\0{}"s)));
  EXPECT_THROW(is_torch_file(file("missing")), InputError);
}

TEST_F(TorchFileTest, TensorsInJsonAreTheirDtypeAndShape) {
  const TorchValue found =
      parse(torch_zip(tensor(storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1}), {{"0", numbers(6)}}));
  EXPECT_EQ(to_json(found), Json({{"dtype", "float32"}, {"shape", {2, 3}}}));
}

}  // namespace
}  // namespace switchyard::io
