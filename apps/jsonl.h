// Multiple-choice questions, one JSON object a line: {"context": "…", "choices": ["…", "…"], "answer": 0}.
// In: a line. Out: a question, or what was expected and found at which column. Other keys may hold any JSON and are
// passed over. Must not know files, tokenizers or scores.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace jsonl {

struct Question {
    std::string context;
    std::vector<std::string> choices;  // at least two
    size_t answer = 0;                 // an index of choices
};

// "" when the line is a question; otherwise the error's words, and question is not to be used.
std::string parse_question(std::string_view line, Question& question);

}  // namespace jsonl
