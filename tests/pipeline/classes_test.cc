#include "pipeline/classes.h"

#include <gtest/gtest.h>

#include "../io/scratch.h"

namespace switchyard::pipeline {
namespace {

dit::ModelConfig with_classes(std::vector<std::string> names) {
  dit::ModelConfig config;
  config.num_classes = static_cast<int64_t>(names.size());
  config.class_names = std::move(names);
  return config;
}

const auto kConfig = with_classes({"sphere", "cube", "cylinder", "box frame", "2"});

TEST(FindClasses, NoNamesMeanAll) {
  EXPECT_EQ(find_classes(kConfig, {}), (std::vector<int64_t>{0, 1, 2, 3, 4}));
}
TEST(FindClasses, AllMeansAll) {
  EXPECT_EQ(find_classes(kConfig, {"cube", "all"}), (std::vector<int64_t>{0, 1, 2, 3, 4}));
}
TEST(FindClasses, OrderIsKeptAndRepeatsAreDropped) {
  EXPECT_EQ(find_classes(kConfig, {"cube", "sphere", "CUBE", "1"}), (std::vector<int64_t>{1, 0}));
}
TEST(FindClasses, UniqueBeginningSuffices) {
  EXPECT_EQ(find_classes(kConfig, {"Box", "cy"}), (std::vector<int64_t>{3, 2}));
}
TEST(FindClasses, NameGoesBeforeIndex) { EXPECT_EQ(find_classes(kConfig, {"2"}), (std::vector<int64_t>{4})); }
TEST(FindClasses, AmbiguousBeginningNamesTheCandidates) {
  const auto message = io::message_of<std::invalid_argument>([] { find_classes(kConfig, {"c"}); });
  EXPECT_TRUE(io::contains(message, "\"cube\" or \"cylinder\""));
}
TEST(FindClasses, EmptyNameIsUnknown) { EXPECT_THROW(find_classes(kConfig, {""}), std::invalid_argument); }
TEST(FindClasses, ModelWithoutNamesTakesIndicesOnly) {
  dit::ModelConfig config;
  EXPECT_EQ(find_classes(config, {"999"}), (std::vector<int64_t>{999}));
  EXPECT_THROW(find_classes(config, {"1000"}), std::invalid_argument);
  EXPECT_THROW(find_classes(config, {"dog"}), std::invalid_argument);
}

TEST(FindClasses, AnySynonymNamesTheClass) {
  const auto config =
      with_classes({"golden retriever, goldie", "crane", "crane, lifting machine", "heron,egret ", "1, one"});
  for (const auto& [name, label] : {std::pair{"golden retriever", 0},
                                    {"Goldie", 0},
                                    {"gol", 0},
                                    {"golden retriever, goldie", 0},
                                    {"crane", 1},
                                    {"lifting machine", 2},
                                    {"lift", 2},
                                    {"egret", 3},
                                    {"1", 4}})
    EXPECT_EQ(find_classes(config, {name}), (std::vector<int64_t>{label})) << name;
  const auto message = io::message_of<std::invalid_argument>([&] { find_classes(config, {"cran"}); });
  EXPECT_TRUE(io::contains(message, "ambiguous class \"cran\""));
  EXPECT_EQ(class_file_name(config, 0), "golden-retriever");
  EXPECT_EQ(class_file_name(config, 1), "class-1") << "crane is the first name of two";
}

TEST(ClassFileName, SpacesBecomeDashes) { EXPECT_EQ(class_file_name(kConfig, 3), "box-frame"); }
TEST(ClassFileName, NamesThatLeaveTheFolderAreDefused) {
  const auto config = with_classes({"../../etc/passwd", "..", ""});
  EXPECT_EQ(class_file_name(config, 0), "------etc-passwd");
  EXPECT_EQ(class_file_name(config, 1), "class-1");
  EXPECT_EQ(class_file_name(config, 2), "class-2");
}
TEST(ClassFileName, ClassesNeverShareOne) {
  const auto config = with_classes({"a b", "a-b", "a"});
  EXPECT_EQ(class_file_name(config, 0), "class-0");
  EXPECT_EQ(class_file_name(config, 1), "class-1");
  EXPECT_EQ(class_file_name(config, 2), "a");
}

TEST(ImageFileName, IsClassAndSeed) {
  EXPECT_EQ(image_file_name(kConfig, 3, 7), "box-frame-0007.png");
  EXPECT_EQ(image_file_name(kConfig, 5, 123456), "class-5-123456.png");
}

}  // namespace
}  // namespace switchyard::pipeline
