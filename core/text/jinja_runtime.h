// What one rendering may use and where it stands: limits, the line being evaluated, the clock; and the makers of values
// that count against the limits. In: limits. Out: values, or Error naming the template's line. Every value whose size a
// template decides is made here. Must not know syntax or builtins. One Runtime belongs to one rendering on one thread.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/status.h"
#include "core/text/jinja_value.h"

namespace gq::jinja {

// A hostile template ends in an Error after a bounded time, memory and stack. Real prompts stay far below.
struct Limits {
    size_t source_bytes = size_t{1} << 20;
    size_t steps = 10'000'000;              // expressions, statements, elements and 64-byte pieces of text looked at
    size_t work_bytes = size_t{256} << 20;  // sum of all values made
    size_t text_bytes = size_t{16} << 20;   // one string, the output included
    size_t evaluation_depth = 800;          // nested expressions, statements and macro calls
    size_t value_depth = 100;               // containers inside containers
};

// Throws Error(status) with "chat template, line N: " before the formatted message. Line 0: no line is known.
[[noreturn]] void template_error(Status status, int line, const char* format, ...)
    __attribute__((format(__printf__, 3, 4)));

class Runtime {
  public:
    Runtime(const Limits& limits, const std::tm& now) : now_(now), limits_(limits) {}
    ~Runtime();  // empties the namespaces, which may hold each other
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    // Something that a value or a template cannot do, at the present line.
    [[noreturn]] void fail(const char* format, ...) const __attribute__((format(__printf__, 2, 3)));
    [[noreturn]] void fail_undefined(const Value& value) const { fail("%s", value.why().c_str()); }

    int line() const { return line_; }
    const std::tm& now() const { return now_; }
    const Limits& limits() const { return limits_; }

    void step(size_t count = 1);
    void look_at(std::string_view text) { step(text.size() / 64 + 1); }
    void charge(size_t bytes);
    void charge_text(size_t size, size_t piece, size_t count = 1);  // a text of `size` bytes grows by count pieces

    Value text(std::string value);
    Value undefined(std::string why);
    Value sequence(Sequence::Form form, Values items);
    Value list(Values items) { return sequence(Sequence::Form::list, std::move(items)); }
    Value tuple(Values items) { return sequence(Sequence::Form::tuple, std::move(items)); }
    Value iterator(Values items);
    Value dict(Dict members);
    Value name_space(std::map<std::string, Value, std::less<>> attributes);

    // Keeps the line of the expression or statement under evaluation, and the depth of nesting.
    class Frame {
      public:
        Frame(Runtime& runtime, int line);
        ~Frame();
        Frame(const Frame&) = delete;
        Frame& operator=(const Frame&) = delete;

      private:
        Runtime& runtime_;
        int caller_line_;
    };

  private:
    size_t checked_depth(size_t depth) const;

    std::tm now_;
    Limits limits_;
    size_t steps_ = 0, bytes_ = 0, depth_ = 0;
    int line_ = 0;
    std::vector<std::shared_ptr<Namespace>> namespaces_;
};

// A string under construction; every byte is counted before it is kept.
class TextBuilder {
  public:
    explicit TextBuilder(Runtime& runtime) : runtime_(runtime) {}
    TextBuilder& operator+=(std::string_view piece);
    TextBuilder& operator+=(char piece) { return *this += std::string_view(&piece, 1); }
    void repeat(std::string_view piece, size_t count);
    size_t size() const { return text_.size(); }
    void cut(size_t size) { text_.resize(size); }
    std::string take() { return std::move(text_); }
    Value value() { return Value::text(std::move(text_)); }

  private:
    Runtime& runtime_;
    std::string text_;
};

}  // namespace gq::jinja
