// A tiny model, trained once by the program itself, in seconds.
#pragma once

#include <gtest/gtest.h>

#include "program.h"

namespace switchyard::app {

class TinyRun : public ::testing::Environment {
 public:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("switchyard-test-tiny-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    outcome_ = run({"train", "--preset", "tiny", "--out", "run", "--images-per-sheet", "0"}, {.folder = folder_});
  }
  void TearDown() override {
    for (const char* end : {"", ".out", ".err"}) std::filesystem::remove_all(folder_.string() + end);
  }
  static std::string model() { return (folder_ / "run/model.safetensors").string(); }
  static inline std::filesystem::path folder_;
  static inline Outcome outcome_;
};

}  // namespace switchyard::app
