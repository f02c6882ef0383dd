// Files built to harm, each with a part of what must be said about it: tables that the tests check and from
// which the fuzzers start.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace switchyard::io {

struct Hostile {
  std::string what, bytes;
  std::string message;  // a part of what must be said
};

std::vector<Hostile> hostile_json();
std::vector<Hostile> hostile_safetensors();
std::vector<Hostile> hostile_zips();  // of the reader of stored zip archives

// PyTorch files, by what is wrong with them.
std::vector<Hostile> hostile_code();
std::vector<Hostile> hostile_pickles();
std::vector<Hostile> hostile_tensors();
std::vector<Hostile> hostile_legacy_files();

// What must never appear: every payload that could run would make this file.
std::string trap();

// A safetensors file with this header and this many data bytes, all 0, after it.
std::string with_header(const std::string& header, std::size_t data = 0);

}  // namespace switchyard::io
