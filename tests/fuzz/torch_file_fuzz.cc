// PyTorch's files: a tree whose tensors lie inside the file. Bytes that are in neither of torch.save's
// formats are read as the data.pkl of an archive with one storage, so that the pickle machine is reached
// without a zip archive around it.
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "../io/torch_builder.h"
#include "io/error.h"
#include "io/own_bytes.h"
#include "io/torch_file.h"
#include "readers.h"

namespace switchyard::fuzz {
namespace {

using io::TorchValue;

// Touches every tensor in place, and collects them.
void read_all(const TorchValue& value, std::map<std::string, at::Tensor>& tensors) {
  if (value.kind == TorchValue::Kind::tensor) {
    const at::Tensor& tensor = value.tensor();
    std::size_t last = 0;  // in elements
    for (std::int64_t i = 0; i < tensor.dim(); ++i)
      last += static_cast<std::size_t>((tensor.size(i) - 1) * tensor.stride(i));
    if (tensor.numel() > 0) touch(tensor.const_data_ptr(), (last + 1) * tensor.element_size());
    tensors.emplace(std::to_string(tensors.size()), tensor);
  } else if (value.has_elements()) {
    for (const TorchValue& element : value.elements()) read_all(element, tensors);
  } else if (value.has_items()) {
    for (const auto& item : value.items()) {
      if (item.key.kind == TorchValue::Kind::string)
        require(value.find(item.key.string()) == &item.value, "every key once");
      read_all(item.value, tensors);
    }
  }
}

}  // namespace

bool fuzz_torch_file(Bytes bytes) {
  std::string file(as_text(bytes));
  if (!file.starts_with("PK") && file.find("\x8a\x0al\xfc\x9c") == file.npos)
    file = io::build::zip({{"a/data.pkl", "\x80\x02" + file}, {"a/data/0", std::string(24, '\1')}});
  // Of exactly the bytes' size, so that reading one more is seen.
  const auto owner = std::make_shared<std::vector<std::byte>>(file.size());
  if (!file.empty()) std::memcpy(owner->data(), file.data(), file.size());
  try {
    const TorchValue value = io::parse_torch_file(*owner, owner, "fuzz");
    std::map<std::string, at::Tensor> tensors;
    read_all(value, tensors);
    static_cast<void>(io::to_json(value).dump());  // throws for a text that is not UTF-8
    io::require_own_bytes(tensors, "fuzz");
    return true;
  } catch (const io::InputError&) {
    return false;
  }
}

std::vector<std::string> torch_file_seeds() {
  using namespace io::build;
  std::vector<std::string> seeds;
  const std::string ones(24, '\1');
  const auto add = [&](const std::string& opcodes) {
    seeds.push_back(opcodes + ".");
    seeds.push_back(torch_legacy(opcodes));
  };
  add(dict(
      {{text("epoch"), integer(7)},
       {text("args"), global("argparse", "Namespace") + ")\x81" + dict({{text("lr"), real(1e-4)}}) + "b"},
       {"N", list({"\x88", "\x89", "J\xfe\xff\xff\xff", "M\1\x80", "\x8a"s + '\0', "\x8a\x01\xff"})},
       {integer(1), "\x8a\x09" + std::string(8, '\0') + "\xff"},
       {real(0.5), "](K\1K\2\x94h\0e"s},
       {"\x88", "U\2hiq\7h\7\x86"s},
       {text("T"), "T\2\0\0\0hi"s},
       {text("b"), "N\x8c\2hir\1\0\0\0j\1\0\0\0\x87"s}}));
  add(ordered_dict() + "(" + text("z") + "\x8f(K\x01\x90u" + dict({{text("_metadata"), ordered_dict()}}) +
      "b");
  add(list({reduce(global("builtins", "set"), {list({integer(1)})}),
            reduce(global("collections", "Counter"), {dict({{integer(3), integer(1)}})}),
            reduce(global("collections", "Counter"), {}),
            reduce(global("collections", "OrderedDict"),
                   {list({list({text("k"), "N"}), tuple({text("l"), "N"})})}),
            reduce(global("torch", "Size"), {tuple({integer(2)})}),
            reduce(global("torch", "device"), {text("cuda"), integer(1)}),
            reduce(global("torch", "device"), {text("cpu")}), global("torch", "bfloat16"),
            "\x8c\5torch\x8c\7float16\x93", "N\x85", "\x95\1\0\0\0\0\0\0\0N"s, "\x8d\2\0\0\0\0\0\0\0hi"s}));
  for (const char* type : {"FloatStorage", "DoubleStorage", "HalfStorage", "ByteStorage", "BoolStorage"}) {
    const std::int64_t count = type[0] == 'F' ? 6 : type[0] == 'D' ? 3 : type[0] == 'H' ? 12 : 24;
    for (const bool legacy : {false, true}) {
      const std::string opcodes =
          dict({{text("w"), tensor(storage(type, "0", count, legacy), 1, {2, 1}, {1, 2})}});
      seeds.push_back(legacy ? torch_legacy(opcodes, {{"0", ones}}, static_cast<int>(24 / count))
                             : opcodes + ".");
    }
  }
  const std::string bytes = tuple({text("storage"), global("torch.storage", "UntypedStorage"), text("0"),
                                   text("cpu"), integer(24)}) +
                            "Q";
  for (const char* dtype : {"uint16", "float8_e4m3fn"})
    seeds.push_back(reduce(global("torch._utils", "_rebuild_tensor_v3"),
                           {bytes, integer(0), tuple({integer(2)}), tuple({integer(1)}), "\x89", "N",
                            global("torch", dtype)}) +
                    ".");
  const std::string plain = reduce(global("torch._utils", "_rebuild_tensor"),
                                   {storage("IntStorage", "0", 6), integer(0), tuple({}), tuple({})});
  seeds.push_back(reduce(global("torch._utils", "_rebuild_parameter"), {plain, "\x88", ordered_dict()}) +
                  ".");
  seeds.push_back(torch_zip(plain, {{"0", ones}}));
  for (const char* type : {"b1", "f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "O8"}) {
    const int size = type[1] - '0';
    seeds.push_back(numpy_scalar("numpy._core.multiarray", type,
                                 "C"s + static_cast<char>(size) + std::string(size, '\1')) +
                    ".");
    seeds.push_back(numpy_scalar("numpy.core.multiarray", type, encoded(std::string(size, '\1'))) + ".");
  }
  seeds.push_back(numpy_scalar("numpy.core.multiarray", "f8", encoded("\xc3\xa9\xe2\x82\xac")) + ".");
  // Each kind of value where another is expected, and as a key that comes twice.
  for (const std::string& value :
       {"N"s, "\x88"s, "\x89"s, integer(1), "\x8a\x09" + std::string(9, '\1'), real(0.5), text("t"), ")"s,
        "]"s, "}"s, global("argparse", "Namespace") + ")\x81", global("torch", "Size"),
        storage("IntStorage", "0", 6), plain, reduce(global("torch", "device"), {text("cpu")})}) {
    seeds.push_back(value + "Na.");
    seeds.push_back(dict({{value, "N"}, {value, "N"}}) + ".");
    seeds.push_back(
        reduce(global("torch._utils", "_rebuild_tensor_v2"), {value, value, value, value, value, value}) +
        ".");
  }
  for (const char* name : {"_rebuild_tensor_v2", "_rebuild_tensor_v3"})  // with metadata, empty or not
    for (const char* metadata : {"N", "}", "}NNs"}) {
      std::vector<std::string> arguments = {
          storage("ByteStorage", "0", 24), integer(0), tuple({}), tuple({}), "\x89", "N"};
      if (std::string_view(name).ends_with('3')) arguments.push_back(global("torch", "int16"));
      arguments.push_back(metadata);
      seeds.push_back(reduce(global("torch._utils", name), arguments) + ".");
    }
  for (const char* name : {"OrderedDict", "Counter"})
    seeds.push_back(reduce(global("collections", name), {"]", "}"}) + ".");
  seeds.push_back(reduce(global("builtins", "set"), {}) + ".");
  seeds.push_back(reduce(global("torch", "Size"), {"N"}) + ".");
  seeds.push_back(reduce(global("torch", "device"), {text("cpu"), "N"}) + ".");
  seeds.push_back(reduce(global("torch", "float32"), {"N"}) + ".");
  seeds.push_back(reduce(global("torch.storage", "UntypedStorage"), {"N"}) + ".");

  // Archives without a data.pkl or with two; with another byte order; legacy files of other roots.
  seeds.push_back(zip({{"data.pkl", "x"}, {"a/b", "x"}}));
  seeds.push_back(zip({{"a/data.pkl", pickle("N")}, {"b/data.pkl", pickle("N")}}));
  seeds.push_back(zip({{"a/data.pkl", pickle("N")}, {"a/byteorder", "big"}}));
  const std::string magic = "\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19", protocol = pickle("M\xe9\x03");
  seeds.push_back(pickle(magic + "\x85"));
  seeds.push_back(pickle(magic) + pickle("N"));
  seeds.push_back(pickle(magic) + protocol + pickle("]"));
  seeds.push_back(pickle(magic) + protocol + pickle(dict({{"N", "N"}, {text("little_endian"), "N"}})));

  for (const auto& files : {io::hostile_code(), io::foreign_code(), io::hostile_pickles(),
                            io::hostile_tensors(), io::hostile_legacy_files()})
    for (const io::Hostile& file : files) {
      seeds.push_back(file.bytes);
      // The pickle alone: from its second opcode to the entry after it.
      const std::size_t begin = file.bytes.find("\x80\x02"), end = file.bytes.find("PK", begin);
      if (file.bytes.starts_with("PK") && end != file.bytes.npos)
        seeds.push_back(file.bytes.substr(begin + 2, end - begin - 2));
    }
  return seeds;
}

}  // namespace switchyard::fuzz
