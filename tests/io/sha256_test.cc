#include "io/sha256.h"

#include <gtest/gtest.h>

#include <chrono>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace switchyard::io {
namespace {

struct Case {
  const char* name;
  std::string text;
  const char* digest;
};

class Sha256 : public ::testing::TestWithParam<Case> {};

TEST_P(Sha256, GivesTheKnownDigest) {
  EXPECT_EQ(sha256(std::as_bytes(std::span(GetParam().text))), GetParam().digest);
}

TEST(Sha256InPieces, GivesTheSameDigest) {
  std::vector<std::byte> bytes((5 << 20) + 7);  // several pieces and a part of one
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 8);
  EXPECT_EQ(sha256(bytes, std::stop_source().get_token()), sha256(bytes));
  // From Python's hashlib.
  EXPECT_EQ(sha256(bytes), "87aa4ba289396d7d984f129a162622e3111843debfee5925aa1cd34dbb1d6aad");
}

TEST(Sha256InPieces, GivesNothingOnceStopIsRequested) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(sha256(std::as_bytes(std::span("abc")), stop.get_token()), std::nullopt);
}

TEST(Sha256InPieces, StopsInTheMiddle) {
  const std::vector<std::byte> bytes(64 << 20);  // no processor takes less than 20 ms
  std::optional<std::string> digest = "not run";
  {
    std::jthread worker([&](const std::stop_token& stop) { digest = sha256(bytes, stop); });
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(digest, std::nullopt);
}

// The first three are the examples of FIPS 180-4; the others, from coreutils' sha256sum, sit on the padding's
// edges.
INSTANTIATE_TEST_SUITE_P(
    Known, Sha256,
    ::testing::Values(
        Case{"abc", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        Case{"two_blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
             "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        Case{"million", std::string(1'000'000, 'a'),
             "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        Case{"empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        Case{"a55", std::string(55, 'a'), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        Case{"a56", std::string(56, 'a'), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        Case{"a63", std::string(63, 'a'), "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        Case{"a64", std::string(64, 'a'), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        Case{"a119", std::string(119, 'a'),
             "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"},
        Case{"high_bytes", std::string(70, '\xff'),
             "09fb3088a619536cab77d59c02f6c0356303667a775fc93f926259b5d593ee74"}),
    [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace switchyard::io
