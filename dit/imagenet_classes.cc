#include "dit/imagenet_classes.h"

#include <sstream>

extern "C" const char switchyard_imagenet_classes_begin[];
extern "C" const char switchyard_imagenet_classes_end[];

namespace switchyard::dit {

std::vector<std::string> imagenet_class_names() {
  std::istringstream text(std::string(switchyard_imagenet_classes_begin, switchyard_imagenet_classes_end));
  std::vector<std::string> names;
  for (std::string line; std::getline(text, line);) names.push_back(line);
  return names;
}

}  // namespace switchyard::dit
