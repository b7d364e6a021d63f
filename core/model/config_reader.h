// Typed look-ups in a configuration object, with defaults and errors that name file, key, expected and found.
// In: a JSON object and the name of where it came from. Out: sizes, numbers, flags, texts. Must not know which keys
// exist.
#pragma once

#include <cstddef>
#include <string>

#include "formats/json.h"

namespace gq {

class ConfigReader {
  public:
    // The object must outlive the reader. `where` is shown in errors.
    ConfigReader(const JsonValue& object, std::string where) : object_(object), where_(std::move(where)) {}

    const std::string& where() const { return where_; }
    bool has(const char* key) const;  // present and not null
    // Without a fallback a missing key is an error. Sizes are whole numbers in [0, 2^40].
    size_t size(const char* key) const;
    size_t size(const char* key, size_t fallback) const;
    double number(const char* key) const;
    double number(const char* key, double fallback) const;
    bool flag(const char* key, bool fallback) const;
    std::string text(const char* key, const char* fallback) const;
    // A reader of the object under key; of an empty object when it is missing. What is no object is an error.
    ConfigReader child(const char* key) const;

  private:
    const JsonValue& get(const char* key) const;
    std::string path(const char* key) const { return where_ + ": " + key; }

    const JsonValue& object_;
    std::string where_;
};

}  // namespace gq
