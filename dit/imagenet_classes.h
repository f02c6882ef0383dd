// The 1000 classes of ImageNet (ILSVRC 2012) by name, in the order of their labels.
#pragma once

#include <string>
#include <vector>

namespace switchyard::dit {

/// 1000 different names, from imagenet_classes.txt: one per line, the first of the class's synonyms in
/// WordNet, with a word in parentheses where two classes would share it.
std::vector<std::string> imagenet_class_names();

}  // namespace switchyard::dit
