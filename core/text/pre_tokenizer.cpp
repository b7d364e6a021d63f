// Pre-tokenizers: they cut a text into the words that BPE works on, and some rewrite it on the way. Most are a regular
// expression and a behavior. In: JSON, then pieces. Out: smaller pieces.
// Must not know normalizers or tokens.
#include "core/text/pipeline.h"
#include "core/text/unicode.h"

namespace gq {

namespace {

constexpr const char* what = "tokenizer pre_tokenizer";

// GPT-2's pattern, the one that ByteLevel with use_regex means. Source: encoder.py of openai/gpt-2.
constexpr const char* gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* punctuation_pattern = R"([\p{P}!-/:-@\[-`{-~])";

// A stretch of a piece: a match of the pattern, or what lies between two.
struct Stretch {
    size_t begin, end;
    bool matched;
};

// What becomes of the matches. Each function turns the stretches of a piece into spans.
using Behavior = void (*)(const std::vector<Stretch>& stretches, std::vector<Pieces::Span>& out);

void isolated(const std::vector<Stretch>& stretches, std::vector<Pieces::Span>& out) {
    for (const Stretch& s : stretches) out.push_back({s.begin, s.end});
}

void removed(const std::vector<Stretch>& stretches, std::vector<Pieces::Span>& out) {
    for (const Stretch& s : stretches) {
        if (!s.matched) out.push_back({s.begin, s.end});
    }
}

void contiguous(const std::vector<Stretch>& stretches, std::vector<Pieces::Span>& out) {
    for (size_t i = 0; i < stretches.size(); ++i) {
        if (i > 0 && stretches[i].matched == stretches[i - 1].matched) {
            out.back().end = stretches[i].end;
        } else {
            out.push_back({stretches[i].begin, stretches[i].end});
        }
    }
}

void merged_with_previous(const std::vector<Stretch>& stretches, std::vector<Pieces::Span>& out) {
    for (size_t i = 0; i < stretches.size(); ++i) {
        if (i > 0 && stretches[i].matched && !stretches[i - 1].matched) {
            out.back().end = stretches[i].end;
        } else {
            out.push_back({stretches[i].begin, stretches[i].end});
        }
    }
}

void merged_with_next(const std::vector<Stretch>& stretches, std::vector<Pieces::Span>& out) {
    for (size_t i = 0; i < stretches.size(); ++i) {
        if (i > 0 && stretches[i - 1].matched && !stretches[i].matched) {
            out.back().end = stretches[i].end;
        } else {
            out.push_back({stretches[i].begin, stretches[i].end});
        }
    }
}

struct BehaviorName {
    const char* name;
    Behavior behavior;
};
constexpr BehaviorName behaviors[] = {{"Isolated", isolated},
                                      {"Removed", removed},
                                      {"Contiguous", contiguous},
                                      {"MergedWithPrevious", merged_with_previous},
                                      {"MergedWithNext", merged_with_next}};

Behavior parse_behavior(const JsonValue& json) {
    const std::string& name = json.as_string(what);
    for (const BehaviorName& row : behaviors) {
        if (name == row.name) return row.behavior;
    }
    format_fail(
        FormatError::Kind::unsupported,
        "%s: behavior Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext expected, \"%.40s\" found",
        what, name.c_str());
}

// The stretches of one piece, in order; with `invert` what lies between the matches counts as matched.
void find_stretches(std::string_view text, const std::vector<Regex::Match>& matches, bool invert, size_t offset,
                    std::vector<Stretch>& out) {
    out.clear();
    size_t done = 0;
    for (const Regex::Match& match : matches) {
        if (match.begin > done) out.push_back({offset + done, offset + match.begin, invert});
        out.push_back({offset + match.begin, offset + match.end, !invert});
        done = match.end;
    }
    if (done < text.size()) out.push_back({offset + done, offset + text.size(), invert});
}

void split(Pieces& pieces, const Regex& regex, Behavior behavior, bool invert) {
    std::vector<Pieces::Span> spans;
    std::vector<Regex::Match> matches;
    std::vector<Stretch> stretches;
    for (const Pieces::Span& span : pieces.spans) {
        const std::string_view text = pieces.text(span);
        regex.find_all(text, matches);
        find_stretches(text, matches, invert, span.begin, stretches);
        behavior(stretches, spans);
    }
    std::erase_if(spans, [](const Pieces::Span& span) { return span.begin == span.end; });
    pieces.spans = std::move(spans);
}

PreTokenizer splitter(Regex regex, Behavior behavior, bool invert = false) {
    return [regex = std::move(regex), behavior, invert](Pieces& pieces) { split(pieces, regex, behavior, invert); };
}

// Rebuilds the text piece by piece.
template <typename Rewrite>
void rewrite(Pieces& pieces, const Rewrite& append_piece) {
    NormalizedText out{.text = {}, .at_start = pieces.whole.at_start, .max_bytes = pieces.whole.max_bytes};
    out.text.reserve(pieces.whole.text.size() * 5 / 4);
    const bool starts_later = !pieces.spans.empty() && pieces.spans.front().begin > 0;
    out.at_start = out.at_start && !starts_later;
    for (Pieces::Span& span : pieces.spans) {
        const size_t begin = out.text.size();
        append_piece(pieces.text(span), out.at_start && begin == 0, out.text);
        check_growth(out);
        span = {begin, out.text.size()};
    }
    pieces.whole = std::move(out);
}

PreTokenizer byte_level(const JsonValue& json) {
    const bool add_prefix_space = json.at("add_prefix_space", what).as_bool(what);
    const bool use_regex = bool_or(json, "use_regex", true);
    return [add_prefix_space, use_regex, regex = Regex(gpt2_pattern)](Pieces& pieces) {
        if (add_prefix_space) {
            rewrite(pieces, [](std::string_view piece, bool, std::string& out) {
                if (!piece.starts_with(' ')) out += ' ';
                out += piece;
            });
        }
        if (use_regex) split(pieces, regex, isolated, false);
        rewrite(pieces, [](std::string_view piece, bool, std::string& out) {
            for (const char byte : piece) append_utf8(out, byte_to_char(static_cast<uint8_t>(byte)));
        });
    };
}

PreTokenizer digits(const JsonValue& json) {
    return splitter(Regex(R"(\p{N})"), bool_or(json, "individual_digits", false) ? isolated : contiguous);
}

PreTokenizer split_by_pattern(const JsonValue& json) {
    return splitter(parse_pattern(json, what), parse_behavior(json.at("behavior", what)),
                    bool_or(json, "invert", false));
}

// Whether Metaspace puts its character before a piece that lacks it.
enum class Prepend { always, first, never };

Prepend parse_prepend_scheme(const JsonValue& json) {
    const JsonValue* scheme = json.find("prepend_scheme");
    if (scheme == nullptr) return bool_or(json, "add_prefix_space", true) ? Prepend::always : Prepend::never;
    const std::string& name = scheme->as_string(what);
    if (name == "always") return Prepend::always;
    if (name == "first") return Prepend::first;
    if (name == "never") return Prepend::never;
    format_fail(FormatError::Kind::unsupported, "%s: prepend_scheme always, first or never expected, \"%.40s\" found",
                what, name.c_str());
}

PreTokenizer metaspace(const JsonValue& json) {
    const std::string mark = single_character(json, "replacement", what);
    const Prepend prepend = parse_prepend_scheme(json);
    const bool cut = bool_or(json, "split", true);
    return [mark, prepend, cut, regex = Regex::literal(mark)](Pieces& pieces) {
        rewrite(pieces, [&](std::string_view piece, bool first, std::string& out) {
            const bool wanted = prepend == Prepend::always || (prepend == Prepend::first && first);
            if (wanted && !piece.starts_with(' ') && !piece.starts_with(mark)) out += mark;
            for (const char byte : piece) byte == ' ' ? out += mark : out += byte;
        });
        if (cut) split(pieces, regex, merged_with_next, false);
    };
}

PreTokenizer whitespace(const JsonValue&) {
    return splitter(Regex(R"([\w\x{200C}\x{200D}]+|[^\w\s\x{200C}\x{200D}]+)"), removed, true);
}

PreTokenizer whitespace_split(const JsonValue&) {
    return splitter(Regex(R"(\s)"), removed);
}

PreTokenizer punctuation(const JsonValue& json) {
    const JsonValue* behavior = json.find("behavior");
    return splitter(Regex(punctuation_pattern), behavior == nullptr ? isolated : parse_behavior(*behavior));
}

PreTokenizer sequence(const JsonValue& json) {
    return [parts = parse_sequence(json, "pretokenizers", parse_pre_tokenizer)](Pieces& pieces) {
        for (const PreTokenizer& part : parts) part(pieces);
    };
}

constexpr PartType<PreTokenizer> types[] = {{"Sequence", sequence},
                                            {"ByteLevel", byte_level},
                                            {"Digits", digits},
                                            {"Split", split_by_pattern},
                                            {"Metaspace", metaspace},
                                            {"Whitespace", whitespace},
                                            {"WhitespaceSplit", whitespace_split},
                                            {"Punctuation", punctuation}};

}  // namespace

PreTokenizer parse_pre_tokenizer(const JsonValue& json) {
    if (json.is_null()) return [](Pieces&) {};
    return parse_part(json, what, types);
}

}  // namespace gq
