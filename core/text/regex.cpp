// The backtracking matcher. Repeats of one class run in a loop and take one frame, so that no text can exhaust the
// stack; the frames lie in a vector. In: a RegexProgram and text. Out: matches.
// Must not know the syntax of patterns.
#include "core/text/regex.h"

#include <limits>
#include <optional>

#include "core/base/status.h"
#include "core/text/unicode.h"

namespace gq {

namespace {

using Op = RegexProgram::Op;
using Instruction = RegexProgram::Instruction;

constexpr size_t steps_per_byte = 1000, steps_to_start = 20 * steps_per_byte;
constexpr size_t frames_per_byte = 8, frames_to_start = 1000;

class Matcher {
  public:
    Matcher(const RegexProgram& program, std::string_view text)
        : code_(program.code),
          sets_(program.sets),
          text_(text),
          steps_left_(steps_to_start + text.size() * steps_per_byte) {}

    // The end of the match that starts at pc and pos. Look-aheads call this again; their depth is bounded by the
    // parser.
    std::optional<size_t> run(size_t pc, size_t pos);
    bool out_of_steps() const { return steps_left_ == 0; }

  private:
    // A place to go on when the present way fails: pc at pos, then at each code point before it down to `low`.
    struct Frame {
        size_t pc, pos, low;
    };

    // Performs code_[pc]; false when it does not match. Updates pc and pos.
    bool step(size_t& pc, size_t& pos);
    bool step_repeat(const Instruction& instruction, size_t& pos, size_t next_pc);
    bool step_group(const Instruction& instruction, size_t pc, size_t& pos);
    bool at_edge(const Instruction& instruction, size_t pos) const;
    bool backtrack(size_t base, size_t& pc, size_t& pos);
    bool spend(size_t steps) {
        steps_left_ -= steps < steps_left_ ? steps : steps_left_;
        return steps_left_ != 0;
    }

    const std::vector<Instruction>& code_;
    const std::vector<CharSet>& sets_;
    std::string_view text_;
    size_t steps_left_;
    std::vector<Frame> frames_;
};

std::optional<size_t> Matcher::run(size_t pc, size_t pos) {
    const size_t base = frames_.size();
    while (spend(1)) {
        if (code_[pc].op == Op::accept) {
            frames_.resize(base);
            return pos;
        }
        if (!step(pc, pos) && !backtrack(base, pc, pos)) return std::nullopt;
    }
    frames_.resize(base);
    return std::nullopt;
}

bool Matcher::step(size_t& pc, size_t& pos) {
    const Instruction& instruction = code_[pc];
    switch (instruction.op) {
        case Op::one: {
            if (pos == text_.size()) return false;
            const CodePoint c = code_point_at(text_, pos);
            if (!sets_[instruction.a].contains(c.value)) return false;
            pos += c.length;
            ++pc;
            return true;
        }
        case Op::repeat:
            ++pc;
            return step_repeat(instruction, pos, pc);
        case Op::split:
            frames_.push_back({instruction.b, pos, pos});
            pc = instruction.a;
            return frames_.size() <= frames_to_start + text_.size() * frames_per_byte || spend(steps_left_);
        case Op::jump:
            pc = instruction.a;
            return true;
        case Op::look_ahead:
        case Op::look_ahead_not:
        case Op::atomic:
            if (!step_group(instruction, pc, pos)) return false;
            pc = instruction.a;
            return true;
        default:
            ++pc;
            return at_edge(instruction, pos);
    }
}

bool Matcher::step_repeat(const Instruction& instruction, size_t& pos, size_t next_pc) {
    const CharSet& set = sets_[instruction.a];
    size_t low = pos;
    uint32_t count = 0;
    while (count < instruction.max && pos < text_.size()) {
        const CodePoint c = code_point_at(text_, pos);
        if (!set.contains(c.value)) break;
        pos += c.length;
        if (++count == instruction.min) low = pos;
    }
    if (count < instruction.min || !spend(count)) return false;
    if (pos > low) frames_.push_back({next_pc, previous_code_point(text_, pos), low});
    return true;
}

bool Matcher::step_group(const Instruction& instruction, size_t pc, size_t& pos) {
    const std::optional<size_t> end = run(pc + 1, pos);
    if (instruction.op == Op::look_ahead_not) return !end && !out_of_steps();
    if (end && instruction.op == Op::atomic) pos = *end;
    return end.has_value();
}

bool Matcher::at_edge(const Instruction& instruction, size_t pos) const {
    const bool at_begin = pos == 0, at_end = pos == text_.size();
    switch (instruction.op) {
        case Op::line_begin:
            return at_begin || (text_[pos - 1] == '\n' && !at_end);
        case Op::line_end:
            return at_end || text_[pos] == '\n';
        case Op::text_begin:
            return at_begin;
        case Op::text_end:
            return at_end;
        case Op::text_end_or_last_newline:
            return at_end || (pos + 1 == text_.size() && text_[pos] == '\n');
        default: {
            const CharSet& word = sets_[instruction.a];
            const bool before = !at_begin && word.contains(code_point_at(text_, previous_code_point(text_, pos)).value);
            const bool after = !at_end && word.contains(code_point_at(text_, pos).value);
            return (before != after) == (instruction.op == Op::word_edge);
        }
    }
}

bool Matcher::backtrack(size_t base, size_t& pc, size_t& pos) {
    if (frames_.size() == base) return false;
    Frame& frame = frames_.back();
    pc = frame.pc;
    pos = frame.pos;
    if (frame.pos > frame.low) {
        frame.pos = previous_code_point(text_, frame.pos);
    } else {
        frames_.pop_back();
    }
    return true;
}

}  // namespace

Regex::Regex(std::string_view pattern) : pattern_(pattern), program_(parse_regex(pattern)) {}

Regex Regex::literal(std::string_view text) {
    std::string pattern;
    for (const char c : text) {
        if (std::string_view("\\|()[]{}.^$?*+-#&").find(c) != std::string_view::npos) pattern += '\\';
        pattern += c;
    }
    return Regex(pattern);
}

void Regex::find_all(std::string_view text, std::vector<Match>& out) const {
    out.clear();
    Matcher matcher(program_, text);
    for (size_t at = 0; at <= text.size();) {
        const std::optional<size_t> end = matcher.run(0, at);
        if (matcher.out_of_steps()) {
            fail(Status::unsupported, "tokenizer regex \"%.200s\" takes more than %zu steps on a text of %zu bytes",
                 pattern_.c_str(), steps_to_start + text.size() * steps_per_byte, text.size());
        }
        const bool repeated = end && *end == at && !out.empty() && out.back().end == at;
        if (end && !repeated) out.push_back({at, *end});
        const bool advanced = end && *end > at;
        at = advanced ? *end : at < text.size() ? at + code_point_at(text, at).length : at + 1;
    }
}

}  // namespace gq
