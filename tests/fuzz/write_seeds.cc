// write_seeds FOLDER: the seeds and the kept inputs of every reader, as files of FOLDER/READER. Those of more
// than 4 KiB are for the tests alone: they take as long as a hundred small ones.
#include <filesystem>
#include <fstream>

#include "readers.h"

int main(int, char** arguments) {
  namespace fuzz = switchyard::fuzz;
  for (const fuzz::Reader& reader : fuzz::kReaders) {
    const auto folder = std::filesystem::path(arguments[1]) / reader.name;
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::size_t number = 0;
    for (const auto& inputs : {reader.seeds(), fuzz::kept_inputs(reader)})
      for (const std::string& input : inputs)
        if (input.size() <= 4096) std::ofstream(folder / std::to_string(number++), std::ios::binary) << input;
  }
}
