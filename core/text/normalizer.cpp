// Normalizers: they change a text before it is cut. Each is one row of the table at the end and one function from its
// JSON to a closure. In: JSON, then text. Out: text.
// Must not know pre-tokenizers or tokens.
#include "core/text/pipeline.h"
#include "core/text/unicode.h"

namespace gq {

namespace {

constexpr const char* what = "tokenizer normalizer";

template <NormalForm form>
Normalizer unicode_form(const JsonValue&) {
    return [](NormalizedText& text) { text.text = normalize(text.text, form); };
}

Normalizer lowercase(const JsonValue&) {
    return [](NormalizedText& text) { text.text = to_lower(text.text); };
}

Normalizer prepend(const JsonValue& json) {
    return [start = json.at("prepend", what).as_string(what)](NormalizedText& text) {
        if (!text.text.empty()) text.text.insert(0, start);
    };
}

Normalizer replace(const JsonValue& json) {
    return
        [regex = parse_pattern(json, what), content = json.at("content", what).as_string(what)](NormalizedText& text) {
            std::vector<Regex::Match> matches;
            regex.find_all(text.text, matches);
            NormalizedText out{.text = {}, .at_start = text.at_start, .max_bytes = text.max_bytes};
            size_t done = 0;
            for (const Regex::Match& match : matches) {
                out.text.append(text.text, done, match.begin - done).append(content);
                done = match.end;
                check_growth(out);
            }
            out.text.append(text.text, done);
            text = std::move(out);
        };
}

Normalizer strip(const JsonValue& json) {
    const bool left = json.at("strip_left", what).as_bool(what), right = json.at("strip_right", what).as_bool(what);
    return [left, right](NormalizedText& text) {
        std::string& s = text.text;
        size_t begin = 0, end = s.size();
        for (CodePoint c; left && begin < end && (c = code_point_at(s, begin), is_whitespace(c.value));)
            begin += c.length;
        while (right && end > begin && is_whitespace(code_point_at(s, previous_code_point(s, end)).value)) {
            end = previous_code_point(s, end);
        }
        s = s.substr(begin, end - begin);
        text.at_start = text.at_start && begin == 0;
    };
}

Normalizer sequence(const JsonValue& json) {
    return [parts = parse_sequence(json, "normalizers", parse_normalizer)](NormalizedText& text) {
        for (const Normalizer& part : parts) {
            part(text);
            check_growth(text);
        }
    };
}

constexpr PartType<Normalizer> types[] = {{"Sequence", sequence},
                                          {"Prepend", prepend},
                                          {"Replace", replace},
                                          {"NFC", unicode_form<NormalForm::nfc>},
                                          {"NFD", unicode_form<NormalForm::nfd>},
                                          {"NFKC", unicode_form<NormalForm::nfkc>},
                                          {"NFKD", unicode_form<NormalForm::nfkd>},
                                          {"Lowercase", lowercase},
                                          {"Strip", strip}};

}  // namespace

Normalizer parse_normalizer(const JsonValue& json) {
    if (json.is_null()) return [](NormalizedText&) {};
    return parse_part(json, what, types);
}

}  // namespace gq
