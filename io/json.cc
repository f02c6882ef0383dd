#include "io/json.h"

#include <utility>
#include <vector>

#include "io/error.h"
#include "io/mapped_file.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

using Json = nlohmann::json;
using Member = std::function<void(const std::string&, const Json&)>;

// Builds the value from the parser's events. (The library's own builder with a callback searches the parent
// at the end of each object, which makes many small objects cost the square of their number.)
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, const std::string& source, std::size_t deepest, const Member* member)
      : text_(text), source_(source), deepest_(deepest), member_(member) {}

  Json build() {
    // The parser takes a NUL for the end of its input and would not look at what follows.
    if (const auto nul = text_.find('\0'); nul != text_.npos)
      fail(" is not JSON, found a NUL byte at its byte " + std::to_string(nul + 1));
    Json::sax_parse(text_, this);
    return std::move(root_);
  }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t& value) override { return add(std::move(value)); }  // which only other formats have
  bool start_object(std::size_t) override { return open(Json::value_t::object); }
  bool start_array(std::size_t) override { return open(Json::value_t::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    const auto [at, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(std::move(name), nullptr);
    if (!is_new) fail(" is JSON in which the key " + quote(at->first) + " appears twice");
    place_ = &at->second;
    field_ = at->first;
    return true;
  }

  bool parse_error(std::size_t byte, const std::string&, const Json::exception& error) override {
    constexpr int kOutOfRange = 406;
    if (error.id == kOutOfRange) fail(" is JSON with a number out of range");
    fail_syntax(byte);
  }

 private:
  static constexpr std::size_t kMost = 1'000'000;

  [[noreturn]] void fail(const std::string& what) const { throw InputError(source_ + what); }
  [[noreturn]] void fail_syntax(std::size_t byte) const {
    const bool named = member_ == nullptr && !field_.empty();
    fail(" is not JSON in UTF-8" + (named ? " from the field " + quote(field_) + " on" : "") +
         ": syntax error at its byte " + std::to_string(byte) + " of " + std::to_string(text_.size()));
  }

  // Puts a value where the next one belongs: after the key, at the end of the array, or at the root.
  Json& put(Json value) {
    if (++count_ > kMost) fail(" is JSON of more than " + std::to_string(kMost) + " values");
    if (open_.empty()) return root_ = std::move(value);
    if (!open_.back()->is_array()) return *place_ = std::move(value);
    auto& elements = open_.back()->get_ref<Json::array_t&>();
    return elements.emplace_back(std::move(value));
  }
  bool add(Json value) {
    put(std::move(value));
    return end_of_value();
  }
  bool open(Json::value_t kind) {
    if (open_.size() == deepest_)
      fail(" is JSON of deeper nesting than " + std::to_string(deepest_) + " levels");
    open_.push_back(&put(kind));
    return true;
  }
  bool close() {
    open_.pop_back();
    return end_of_value();
  }
  bool end_of_value() {
    if (member_ == nullptr || open_.size() != 1) return true;
    auto& object = root_.get_ref<Json::object_t&>();
    (*member_)(object.begin()->first, object.begin()->second);
    object.clear();
    count_ = 0;
    return true;
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t deepest_, count_ = 0;
  const Member* member_;
  Json root_;
  std::vector<Json*> open_;  // an array grows only while none of its elements is open
  Json* place_ = nullptr;    // of the value that belongs to the last key
  std::string field_;        // that key
};

}  // namespace

Json parse_json(std::string_view text, const std::string& source) {
  return Builder(text, source, 16, nullptr).build();
}

Json read_json(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

void parse_members(std::string_view text, const std::string& source, std::size_t deepest,
                   const Member& member) {
  if (!text.starts_with('{'))
    throw InputError(source + " is not a JSON object: expected it to start with '{'");
  Builder(text, source, deepest, &member).build();
}

}  // namespace switchyard::io
