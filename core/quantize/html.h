// Words for a page of HTML that is well-formed XML as well.
// In: text of any origin. Out: text that means itself, numbers for people. Must not know what a page is about.
#pragma once

#include <string>
#include <string_view>

namespace gq {

// What XML has a use for is escaped; what it can't hold (control characters, ill-formed UTF-8) becomes U+FFFD.
std::string escaped(std::string_view text);

std::string bytes_text(double bytes);    // "101.9 MB", of 10^6
std::string percent_text(double share);  // "12.3 %"
std::string pixels(double length);       // "12.5"

// <tag class="kind">content</tag>; the content is HTML.
std::string element(const char* tag, const std::string& content, const char* kind = "");
// A cell of a row: what is not a number stands left.
std::string text_cell(std::string_view text);
std::string number_cell(std::string_view text);

}  // namespace gq
