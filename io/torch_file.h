// PyTorch's .pt, .pth and .bin files, read as inert data: nothing in them is ever run.
//
// Both formats of torch.save: the zip archive (since 1.6: PREFIX/data.pkl, PREFIX/data/KEY, stored) and the
// legacy one (a row of pickles, then the storages). What they may hold: dicts, OrderedDicts, lists, tuples,
// sets (as lists), numbers, texts, None, argparse.Namespace, torch.Size (as a tuple), torch.device and dtypes
// (as texts), and tensors of every real dtype with any strides, parameters among them. Integers beyond 64
// bits become their decimal text; attributes of an OrderedDict (the _metadata of a state dict) are dropped. NumPy's
// numbers are numbers. What is made of any other name (a module, an optimizer, an enumeration) is an object with the
// attributes "<class>", the name, "<arguments>", and those that it was given; a name alone is the text "<module.name>".
//
// Reading allocates no more than twice the file's size (at least 1 MiB) beside the mapping.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "io/torch_value.h"

namespace switchyard::io {

// Whether the file begins like one of the two formats: a cheap look that promises nothing about the rest.
// InputError: cannot be read.
bool is_torch_file(const std::filesystem::path& path);

// Tensors are on the CPU, whatever device they were saved on, without gradient, and share storage as in the
// file. They are views of a private mapping that lives as long as any of them: nothing is read before it is
// used, and writing to a tensor does not change the file. Storages that are not aligned in the file are
// copied. Checksums are compared for data.pkl alone, since the storages' would read all of them. InputError
// names the file, the byte, what was expected and what came; for a pickle it is the first
// thing that is refused, and its byte is counted in data.pkl or else in the file.
TorchValue read_torch_file(const std::filesystem::path& path);

// The same for bytes in memory: `owner` keeps them alive for the tensors' lifetime, `name` stands in for the
// file's name in messages.
TorchValue parse_torch_file(std::span<std::byte> bytes, const std::shared_ptr<const void>& owner,
                            const std::string& name);

}  // namespace switchyard::io
