#include <fstream>

#include "readers.h"

namespace switchyard::fuzz {

std::vector<std::string> kept_inputs(const Reader& reader) {
  std::ifstream file(std::string(SWITCHYARD_FUZZ_CORPUS) + "/" + reader.name + ".hex");
  std::vector<std::string> inputs;
  for (std::string line; std::getline(file, line);) {
    std::string& bytes = inputs.emplace_back();
    for (std::size_t i = 0; i + 1 < line.size(); i += 2)
      bytes.push_back(static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16)));
  }
  return inputs;
}

}  // namespace switchyard::fuzz
