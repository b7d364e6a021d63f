// Methods of Python's str, list, tuple, range, dict and of `loop`: one row each. What would change a list or dict is
// refused, as in the sandbox. In: the object as the first argument, then the method's. Out: a value, or Error. Must not
// know syntax or scopes. Positions in text are counted in code points.
#include <algorithm>
#include <limits>

#include "core/text/jinja_access.h"
#include "core/text/jinja_builtins.h"
#include "core/text/jinja_format.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace gq::jinja {

namespace {

constexpr size_t npos = std::string_view::npos;

template <std::string (*change)(std::string_view)>
Value changed(Runtime& runtime, Bound& arguments) {
    runtime.look_at(arguments.string(0));
    return runtime.text(change(arguments.string(0)));
}

template <Side side>
Value stripped(Runtime& runtime, Bound& arguments) {
    runtime.look_at(arguments.string(0));
    if (arguments[1].is_none()) return runtime.text(std::string(strip(arguments.string(0), side)));
    return runtime.text(std::string(strip(arguments.string(0), side, arguments.string(1))));
}

Value strings(Runtime& runtime, const std::vector<std::string_view>& parts) {
    Values out;
    for (const std::string_view part : parts) {
        runtime.charge(sizeof(Value) + sizeof(std::string));
        out.push_back(runtime.text(std::string(part)));
    }
    return runtime.list(std::move(out));
}

// --- split ---

// Text is cut at white space, runs of it counting once, from the left or the right; after `limit` cuts the rest stays
// as it is.
std::vector<std::string_view> split_at_spaces(std::string_view text, int64_t limit, Side from) {
    const bool from_left = from == Side::left;
    std::vector<std::string_view> parts;
    for (text = strip(text, from); !text.empty(); text = strip(text, from)) {
        if (limit-- == 0) {
            parts.push_back(text);
            break;
        }
        size_t cut = from_left ? 0 : text.size();
        if (from_left) {
            while (cut < text.size() && space_length(text, cut) == 0) cut += code_point_at(text, cut).length;
        } else {
            while (cut > 0 && space_length(text, previous_code_point(text, cut)) == 0)
                cut = previous_code_point(text, cut);
        }
        parts.push_back(from_left ? text.substr(0, cut) : text.substr(cut));
        text = from_left ? text.substr(cut) : text.substr(0, cut);
    }
    if (!from_left) std::reverse(parts.begin(), parts.end());
    return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, int64_t limit) {
    std::vector<std::string_view> parts;
    const Search search(separator);
    size_t start = 0;
    for (size_t at = 0; limit != 0 && (at = search.find(text, start)) != npos; --limit) {
        parts.push_back(text.substr(start, at - start));
        start = at + separator.size();
    }
    parts.push_back(text.substr(start));
    return parts;
}

std::string reversed(std::string_view text) {
    return std::string(text.rbegin(), text.rend());
}

void require_separator(const Runtime& runtime, const std::string& separator) {
    if (separator.empty()) runtime.fail("the separator is empty");
}

template <Side from>
Value split(Runtime& runtime, Bound& arguments) {
    const std::string& text = arguments.string(0);
    const int64_t limit = arguments.whole(2, -1);
    runtime.look_at(text);
    runtime.charge(text.size() * (arguments[1].is_none() ? 8 : 1));
    if (arguments[1].is_none()) return strings(runtime, split_at_spaces(text, limit, from));
    const std::string& separator = arguments.string(1);
    require_separator(runtime, separator);
    if (from == Side::left) return strings(runtime, split_at(text, separator, limit));
    // From the right: the mirrored text is split from the left. Bytes are mirrored, and whole separators come back
    // whole.
    const std::string mirrored = reversed(text), mirrored_separator = reversed(separator);
    Values parts;
    for (const std::string_view part : split_at(mirrored, mirrored_separator, limit)) {
        runtime.charge(sizeof(Value) + sizeof(std::string));
        parts.push_back(runtime.text(reversed(part)));
    }
    std::reverse(parts.begin(), parts.end());
    return runtime.list(std::move(parts));
}

Value split_lines_method(Runtime& runtime, Bound& arguments) {
    runtime.look_at(arguments.string(0));
    return strings(runtime, split_lines(arguments.string(0), arguments.truth(1)));
}

// --- search ---

// The part of the text that the optional arguments start and end (code points) leave, and where it begins.
struct Window {
    std::string_view text;
    int64_t first;
    bool exists;  // start lies inside or at the end
};

Window window(Runtime& runtime, const Bound& arguments, size_t start_argument) {
    const std::string& text = arguments.string(0);
    runtime.look_at(text);
    if (arguments[start_argument].is_none() && arguments[start_argument + 1].is_none()) return {text, 0, true};
    const auto size = static_cast<int64_t>(count_code_points(text));
    const auto place = [&](size_t i, int64_t otherwise) {
        const int64_t given = arguments[i].is_none() ? otherwise : arguments.whole(i, otherwise);
        return given < 0 ? std::max<int64_t>(0, given + size) : given;
    };
    const int64_t start = place(start_argument, 0), end = std::min(place(start_argument + 1, size), size);
    if (start > end) return {{}, start, false};
    const size_t first = code_point_offset(text, static_cast<size_t>(start));
    const size_t last = code_point_offset(text, static_cast<size_t>(end));
    return {std::string_view(text).substr(first, last - first), start, true};
}

size_t find_last(std::string_view text, std::string_view needle) {
    const std::string mirrored = reversed(text), mirrored_needle = reversed(needle);
    const size_t found = Search(mirrored_needle).find(mirrored);
    return found == npos ? npos : text.size() - found - needle.size();
}

// find and rfind are -1 where index and rindex are an error.
template <Side from, bool must_exist>
Value find(Runtime& runtime, Bound& arguments) {
    const std::string& needle = arguments.string(1);
    const Window in = window(runtime, arguments, 2);
    size_t at = npos;
    if (in.exists) at = from == Side::left ? Search(needle).find(in.text) : find_last(in.text, needle);
    if (at != npos) return Value(in.first + static_cast<int64_t>(count_code_points(in.text.substr(0, at))));
    if (must_exist) runtime.fail("the text does not hold the one that is looked for");
    return Value(int64_t{-1});
}

Value count_text(Runtime& runtime, Bound& arguments) {
    const std::string& needle = arguments.string(1);
    const Window in = window(runtime, arguments, 2);
    if (!in.exists) return Value(int64_t{0});
    if (needle.empty()) return Value(static_cast<int64_t>(count_code_points(in.text)) + 1);
    int64_t count = 0;
    const Search search(needle);
    for (size_t at = search.find(in.text); at != npos; at = search.find(in.text, at + needle.size())) ++count;
    return Value(count);
}

// One affix or a tuple of them.
template <bool (std::string_view::*has)(std::string_view) const noexcept>
Value has_affix(Runtime& runtime, Bound& arguments) {
    const Window in = window(runtime, arguments, 2);
    const bool is_tuple = arguments[1].is_sequence() && arguments[1].sequence()->form == Sequence::Form::tuple;
    const Values affixes = is_tuple ? arguments[1].sequence()->items : Values{arguments[1]};
    for (const Value& affix : affixes) {
        if (affix.is_undefined()) runtime.fail_undefined(affix);
        if (!affix.is_string()) runtime.fail("a string or a tuple of strings is needed, found '%s'", affix.type_name());
        if (in.exists && (in.text.*has)(affix.string())) return Value(true);
    }
    return Value(false);
}

template <Side from>
Value partition(Runtime& runtime, Bound& arguments) {
    const std::string_view text = arguments.string(0), separator = arguments.string(1);
    runtime.look_at(text);
    require_separator(runtime, arguments.string(1));
    const size_t at = from == Side::left ? Search(separator).find(text) : find_last(text, separator);
    const Value whole = arguments[0], nothing = runtime.text({});
    if (at == npos)
        return from == Side::left ? runtime.tuple({whole, nothing, nothing}) : runtime.tuple({nothing, nothing, whole});
    return runtime.tuple({runtime.text(std::string(text.substr(0, at))), arguments[1],
                          runtime.text(std::string(text.substr(at + separator.size())))});
}

// --- change ---

Value remove_prefix(Runtime& runtime, Bound& arguments) {
    const std::string &text = arguments.string(0), &prefix = arguments.string(1);
    return runtime.text(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

Value remove_suffix(Runtime& runtime, Bound& arguments) {
    const std::string &text = arguments.string(0), &suffix = arguments.string(1);
    return runtime.text(text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text);
}

Value replace(Runtime& runtime, Bound& arguments) {
    return replaced(runtime, arguments.string(0), arguments.string(1), arguments.string(2), arguments.whole(3, -1));
}

Value join(Runtime& runtime, Bound& arguments) {
    TextBuilder out(runtime);
    bool is_first = true;
    for (const Value& item : items_of(runtime, arguments[1])) {
        if (!item.is_string()) runtime.fail("'join' needs strings, found '%s'", item.type_name());
        if (!is_first) out += arguments.string(0);
        out += item.string();
        is_first = false;
    }
    return out.value();
}

std::string fill_of(const Runtime& runtime, const Bound& arguments) {
    const std::string fill = arguments.has(2) ? arguments.string(2) : " ";
    if (count_code_points(fill) != 1) runtime.fail("the fill must be one character");
    return fill;
}

size_t missing_width(const Bound& arguments) {
    const auto size = static_cast<int64_t>(count_code_points(arguments.string(0)));
    return static_cast<size_t>(std::max<int64_t>(0, arguments.whole(1, 0) - size));
}

template <Side side>
Value justified(Runtime& runtime, Bound& arguments) {
    const size_t blanks = missing_width(arguments);
    const bool keeps_left = side == Side::left;
    return padded(runtime, arguments.string(0), keeps_left ? 0 : blanks, fill_of(runtime, arguments),
                  keeps_left ? blanks : 0);
}

Value center(Runtime& runtime, Bound& arguments) {
    return centered(runtime, arguments.string(0), arguments.whole(1, 0), fill_of(runtime, arguments));
}

Value zero_filled(Runtime& runtime, Bound& arguments) {
    const std::string& text = arguments.string(0);
    const bool is_signed = text.starts_with('-') || text.starts_with('+');
    TextBuilder out(runtime);
    out += text.substr(0, is_signed);
    out.repeat("0", missing_width(arguments));
    out += text.substr(is_signed);
    return out.value();
}

// --- classes of code points ---

bool is_alphanumeric(char32_t c) {
    return is_alpha(c) || is_numeric(c);
}
bool is_ascii(char32_t c) {
    return c < 0x80;
}

template <bool (*holds)(char32_t), bool when_empty>
Value all_are(Runtime& runtime, Bound& arguments) {
    const std::string& text = arguments.string(0);
    runtime.look_at(text);
    bool all = true;
    for_each_code_point(text, [&](std::string_view, char32_t c) { all &= holds(c); });
    return Value(text.empty() ? when_empty : all);
}

// --- containers ---

template <Sequence::Form form>
Value view(Runtime& runtime, Bound& arguments) {
    Values out;
    for (const auto& [key, value] : arguments[0].dict().members) {
        if (form == Sequence::Form::items) {
            out.push_back(runtime.tuple({key, value}));
        } else {
            out.push_back(form == Sequence::Form::keys ? key : value);
        }
    }
    return runtime.sequence(form, std::move(out));
}

Value get(Runtime& runtime, Bound& arguments) {
    const Value* value = arguments[0].dict().find_key(dict_key(runtime, arguments[1]));
    return value != nullptr ? *value : arguments[2];
}

Value index_of(Runtime& runtime, Bound& arguments) {
    const Values& items = arguments[0].sequence()->items;
    for (size_t i = 0; i < items.size(); ++i) {
        if (equal(runtime, items[i], arguments[1])) return Value(static_cast<int64_t>(i));
    }
    runtime.fail("the value is not in the %s", arguments[0].type_name());
}

Value count_items(Runtime& runtime, Bound& arguments) {
    const Values& items = arguments[0].sequence()->items;
    return Value(static_cast<int64_t>(std::count_if(
        items.begin(), items.end(), [&](const Value& item) { return equal(runtime, item, arguments[1]); })));
}

// copy() of what never changes.
Value itself(Runtime&, Bound& arguments) {
    return arguments[0];
}

Value refuse_change(Runtime& runtime, Bound& arguments) {
    runtime.fail("a template may not change a %s: methods that do are refused (use namespace() and set)",
                 arguments[0].type_name());
}

Value refuse_format(Runtime& runtime, Bound&) {
    template_error(Status::unsupported, runtime.line(), "method 'format' is not supported; '~' joins values");
}

Value cycle(Runtime& runtime, Bound& arguments) {
    const Values& values = arguments.rest().positional;
    if (values.empty()) runtime.fail("'cycle' needs values");
    const int64_t place = arguments[0].loop().index0 % static_cast<int64_t>(values.size());
    return values[static_cast<size_t>(std::max<int64_t>(0, place))];
}

constexpr Builtin kTextMethods[] = {
    {"capitalize", "self", changed<capitalized>},
    {"center", "self width fillchar?", center},
    {"count", "self sub start? end?", count_text},
    {"endswith", "self suffix start? end?", has_affix<&std::string_view::ends_with>},
    {"find", "self sub start? end?", find<Side::left, false>},
    {"format", "self *", refuse_format},
    {"index", "self sub start? end?", find<Side::left, true>},
    {"isalnum", "self", all_are<is_alphanumeric, false>},
    {"isalpha", "self", all_are<is_alpha, false>},
    {"isascii", "self", all_are<is_ascii, true>},
    {"isdecimal", "self", all_are<is_decimal, false>},
    {"isdigit", "self", all_are<is_digit, false>},
    {"islower", "self", [](Runtime& r, Bound& a) { return find_builtin(tests(), "lower")->apply(r, a); }},
    {"isnumeric", "self", all_are<is_numeric, false>},
    {"isspace", "self", all_are<is_space, false>},
    {"isupper", "self", [](Runtime& r, Bound& a) { return find_builtin(tests(), "upper")->apply(r, a); }},
    {"join", "self iterable", join},
    {"ljust", "self width fillchar?", justified<Side::left>},
    {"lower", "self", changed<lower>},
    {"lstrip", "self chars?", stripped<Side::left>},
    {"partition", "self sep", partition<Side::left>},
    {"removeprefix", "self prefix", remove_prefix},
    {"removesuffix", "self suffix", remove_suffix},
    {"replace", "self old new count?", replace},
    {"rfind", "self sub start? end?", find<Side::right, false>},
    {"rindex", "self sub start? end?", find<Side::right, true>},
    {"rjust", "self width fillchar?", justified<Side::right>},
    {"rpartition", "self sep", partition<Side::right>},
    {"rsplit", "self sep? maxsplit?", split<Side::right>},
    {"rstrip", "self chars?", stripped<Side::right>},
    {"split", "self sep? maxsplit?", split<Side::left>},
    {"splitlines", "self keepends?", split_lines_method},
    {"startswith", "self prefix start? end?", has_affix<&std::string_view::starts_with>},
    {"strip", "self chars?", stripped<Side::both>},
    {"title", "self", changed<title_words>},
    {"upper", "self", changed<upper>},
    {"zfill", "self width", zero_filled},
};

constexpr Builtin kSequenceMethods[] = {
    {"append", "self *", refuse_change},  {"clear", "self *", refuse_change},  {"copy", "self", itself},
    {"count", "self value", count_items}, {"extend", "self *", refuse_change}, {"index", "self value", index_of},
    {"insert", "self *", refuse_change},  {"pop", "self *", refuse_change},    {"remove", "self *", refuse_change},
    {"reverse", "self *", refuse_change}, {"sort", "self *", refuse_change},
};

constexpr Builtin kDictMethods[] = {
    {"clear", "self *", refuse_change},
    {"copy", "self", itself},
    {"get", "self key default?", get},
    {"items", "self", view<Sequence::Form::items>},
    {"keys", "self", view<Sequence::Form::keys>},
    {"pop", "self *", refuse_change},
    {"popitem", "self *", refuse_change},
    {"setdefault", "self *", refuse_change},
    {"update", "self *", refuse_change},
    {"values", "self", view<Sequence::Form::values>},
};

constexpr Builtin kLoopMethods[] = {{"cycle", "self *", cycle}};

}  // namespace

std::span<const Builtin> text_methods() {
    return kTextMethods;
}
std::span<const Builtin> sequence_methods() {
    return kSequenceMethods;
}
std::span<const Builtin> dict_methods() {
    return kDictMethods;
}
std::span<const Builtin> loop_methods() {
    return kLoopMethods;
}

}  // namespace gq::jinja
