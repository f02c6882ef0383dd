#include "io/foreign_file.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "io/error.h"
#include "io/safetensors.h"
#include "io/torch_file.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

using namespace std::string_literals;

struct Case {
  const char* name;
  std::string content;
  const char* said;  // nullptr: nothing
};

class ForeignFile : public ::testing::TestWithParam<Case> {};

const Case kCases[] = {
    {"LfsPointer",
     "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 2703338\n",
     "is a Git LFS pointer, not the file that it stands for: `git lfs pull` fetches that one"},
    {"Page", "<!DOCTYPE html>\n<html lang=\"en\"><head><title>404</title>", "is a web page, not a model"},
    {"PageAfterSpaceAndMark", "\xef\xbb\xbf\r\n  <HTML><body>Sign in</body></HTML>", "is a web page, not a model"},
    {"ErrorInXml", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "is a web page, not a model"},
    {"Gguf", "GGUF\x03\0\0\0\x10\0\0\0"s, "is a GGUF file"},
    {"Hdf5", "\x89HDF\r\n\x1a\n\0\0\0\0\0"s, "is an HDF5 file"},
    {"Onnx", "\x08\x07\x12\x07pytorch\x1a\x03"s + "2.1", "is an ONNX model"},
    {"TorchScript", "PK\x03\x04 net/code/__torch__/net.py ... net/data.pkl ... net/constants.pkl",
     "is a TorchScript program, not a checkpoint: save its state_dict() in Python"},
    {"Npz", "PK\x03\x04 arr_0.npy ...", "is an .npz archive of arrays, not a model"},
    {"Npy", "\x93NUMPY\x01\0v\0{'descr'"s, "is a NumPy array, not a model"},
    {"Gzip", "\x1f\x8b\x08\0\0\0\0\0\0\x03"s, "is compressed by gzip: unpack it first"},
    {"Tar", std::string(257, '\0') + "ustar\00000"s, "is a tar archive: unpack it first"},
    {"Json", "{\n  \"architectures\": [\"DiT\"]\n}\n", "is a JSON text, not a model: the tensors are in another file"},
    {"Jpeg", "\xff\xd8\xff\xe0\0\x10JFIF"s, "is a JPEG picture, not a model"},
    {"CheckpointInAZip", "PK\x03\x04 archive/data.pkl ... archive/data/0", nullptr},
    // 35,615, as gzip's first bytes, and 2,116 as a text's.
    {"SafetensorsOfALengthLikeGzip", "\x1f\x8b\0\0\0\0\0\0{"s + std::string(35'614, ' '), nullptr},
    {"SafetensorsOfALengthLikeText", "{\x08\0\0\0\0\0\0{"s + std::string(2'200, ' '), nullptr},
    {"Nothing", "", nullptr},
    {"Random", "\x05\xe3\x91\x7f\x00\x21"s, nullptr},
};

TEST_P(ForeignFile, IsToldByItsFirstBytes) {
  const auto said = foreign_kind(std::as_bytes(std::span(GetParam().content)));
  if (GetParam().said == nullptr) {
    EXPECT_EQ(said, "");
  } else {
    EXPECT_TRUE(said.starts_with(GetParam().said)) << said;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ForeignFile, ::testing::ValuesIn(kCases),
                         [](const auto& each) { return std::string(each.param.name); });

using ForeignModel = Scratch;

TEST_F(ForeignModel, BothReadersSayWhatItIs) {
  const auto pointer = put("model.safetensors", kCases[0].content);
  EXPECT_EQ(message_of<InputError>([&] { read_safetensors(pointer); }), pointer.string() + ": " + kCases[0].said);
  const auto program = put("model.pt", kCases[7].content);
  EXPECT_EQ(message_of<InputError>([&] { read_torch_file(program); }), program.string() + ": " + kCases[7].said);
}

}  // namespace
}  // namespace switchyard::io
