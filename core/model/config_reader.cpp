// Typed look-ups with errors that name file and key. See config_reader.h.
// In: a JSON object, a key. Out: a value within its type's range, a fallback, or an error. Must not know which keys
// exist.
#include "core/model/config_reader.h"

#include "core/base/status.h"

namespace gq {
namespace {

const JsonValue empty_object;

}  // namespace

bool ConfigReader::has(const char* key) const {
    const JsonValue* value = object_.find(key);
    return value && !value->is_null();
}

const JsonValue& ConfigReader::get(const char* key) const {
    if (!has(key)) fail(Status::bad_file, "%s: '%s' expected, not found", where_.c_str(), key);
    return *object_.find(key);
}

size_t ConfigReader::size(const char* key) const {
    const int64_t value = get(key).as_integer(path(key).c_str());
    constexpr int64_t limit = int64_t{1} << 40;
    if (value < 0 || value > limit)
        fail(Status::bad_file, "%s: expected 0 … %lld, found %lld", path(key).c_str(), static_cast<long long>(limit),
             static_cast<long long>(value));
    return static_cast<size_t>(value);
}

size_t ConfigReader::size(const char* key, size_t fallback) const {
    return has(key) ? size(key) : fallback;
}

double ConfigReader::number(const char* key) const {
    return get(key).as_number(path(key).c_str());
}

double ConfigReader::number(const char* key, double fallback) const {
    return has(key) ? number(key) : fallback;
}

bool ConfigReader::flag(const char* key, bool fallback) const {
    return has(key) ? get(key).as_bool(path(key).c_str()) : fallback;
}

std::string ConfigReader::text(const char* key, const char* fallback) const {
    return has(key) ? get(key).as_string(path(key).c_str()) : fallback;
}

ConfigReader ConfigReader::child(const char* key) const {
    if (!has(key)) return {empty_object, path(key)};
    const JsonValue& value = get(key);
    value.as_object(path(key).c_str());  // throws where it is none
    return {value, path(key)};
}

}  // namespace gq
