// Where the numbers of other programs lie: FIXTURES/metrics (or FIXTURES itself), where FIXTURES is the environment's
// SWITCHYARD_FIXTURES, by default the folder in this repository.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "io/safetensors.h"

namespace switchyard::metrics {

inline std::filesystem::path parity_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const std::filesystem::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  return std::filesystem::is_directory(fixtures / "metrics") ? fixtures / "metrics" : fixtures;
}

inline nlohmann::json expected_numbers() {
  std::ifstream stream(parity_folder() / "expected.json");
  EXPECT_TRUE(stream) << "no expected.json in " << parity_folder();
  return nlohmann::json::parse(stream);
}

inline std::map<std::string, at::Tensor> fixture_tensors(const char* file) {
  return io::read_safetensors(parity_folder() / file).tensors;
}

// The worst relative error of a topic, printed at its end.
class Worst {
 public:
  Worst(std::string topic, double limit) : topic_(std::move(topic)), limit_(limit) {}
  ~Worst() {
    std::printf("metrics/%s: worst relative error %.2g of %d numbers (limit %.2g)\n", topic_.c_str(), worst_,
                count_, limit_);
    EXPECT_GT(count_, 0) << topic_;
  }
  Worst(const Worst&) = delete;
  Worst& operator=(const Worst&) = delete;

  void add(const std::string& what, double actual, double expected) {
    const double error = std::abs(actual - expected) / std::max(std::abs(expected), 1e-300);
    EXPECT_LE(error, limit_) << topic_ << " " << what << ": " << actual << ", expected " << expected;
    worst_ = std::max(worst_, error);
    ++count_;
  }

 private:
  std::string topic_;
  double limit_, worst_ = 0;
  int count_ = 0;
};

}  // namespace switchyard::metrics
