// The message of an error that a test expects, and the pieces that must stand in it.
// In: a call; a text. Out: the message with its kind in front; a check that fails with both texts.
// Must not know which rule is tested.
#pragma once

#include <doctest/doctest.h>

#include <exception>
#include <string>
#include <string_view>

#include "formats/format_error.h"

namespace gq::test {

// "malformed: …", "unsupported: …" or "io: …" of the FormatError that the call throws, "error: …" of another; "no
// error" when it throws none.
template <typename Call>
std::string error_of(Call call) {
    try {
        call();
    } catch (const FormatError& error) {
        const char* const kinds[] = {"malformed: ", "unsupported: ", "io: "};
        return std::string(kinds[static_cast<size_t>(error.kind())]) + error.what();
    } catch (const std::exception& error) {
        return std::string("error: ") + error.what();
    }
    return "no error";
}

inline void check_contains(const std::string& text, std::string_view part) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, "expected \"", std::string(part), "\" in \"", text, "\"");
}

}  // namespace gq::test
