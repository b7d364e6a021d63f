// Counting of steps, bytes and depth, and the makers of values. See jinja_runtime.h.
// In: limits; sizes of what is about to be made. Out: values within the limits, or Error when one is passed.
// Must not know which operation asks.
#include "core/text/jinja_runtime.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace gq::jinja {

namespace {

constexpr size_t kMessageBytes = 500;  // longer messages are cut: they may quote a template's text

size_t deepest(const Values& items) {
    size_t depth = 0;
    for (const Value& item : items) depth = std::max(depth, item.depth());
    return depth;
}

[[noreturn]] void fail_at(Status status, int line, const char* format, va_list args) {
    char message[kMessageBytes];
    std::vsnprintf(message, sizeof message, format, args);
    if (line > 0) fail(status, "chat template, line %d: %s", line, message);
    fail(status, "chat template: %s", message);
}

}  // namespace

void template_error(Status status, int line, const char* format, ...) {
    va_list args;
    va_start(args, format);
    fail_at(status, line, format, args);
}

void Runtime::fail(const char* format, ...) const {
    va_list args;
    va_start(args, format);
    fail_at(Status::bad_file, line_, format, args);
}

void Runtime::step(size_t count) {
    if (count > limits_.steps - steps_) {
        template_error(Status::unsupported, line_, "rendering takes more than %zu steps", limits_.steps);
    }
    steps_ += count;
}

void Runtime::charge(size_t bytes) {
    if (bytes > limits_.work_bytes - bytes_) {
        template_error(Status::unsupported, line_, "rendering makes more than %zu bytes of values", limits_.work_bytes);
    }
    bytes_ += bytes;
}

size_t Runtime::checked_depth(size_t depth) const {
    if (depth > limits_.value_depth) {
        template_error(Status::unsupported, line_, "a value is nested more than %zu levels deep", limits_.value_depth);
    }
    return depth;
}

void Runtime::charge_text(size_t size, size_t piece, size_t count) {
    if (piece > 0 && count > (limits_.text_bytes - size) / piece) {
        template_error(Status::unsupported, line_, "a text grows past %zu bytes", limits_.text_bytes);
    }
    charge(piece * count);
}

Value Runtime::text(std::string value) {
    charge_text(0, value.size());
    return Value::text(std::move(value));
}

Value Runtime::undefined(std::string why) {
    charge(why.size() + sizeof(Value) + sizeof(std::string));
    return Value::undefined(std::move(why));
}

Value Runtime::sequence(Sequence::Form form, Values items) {
    charge((items.size() + 4) * sizeof(Value));
    auto made = std::make_shared<Sequence>();
    made->form = form;
    made->depth = checked_depth(deepest(items) + 1);
    made->items = std::move(items);
    return Value(std::shared_ptr<const Sequence>(std::move(made)));
}

Value Runtime::iterator(Values items) {
    charge((items.size() + 4) * sizeof(Value));
    auto made = std::make_shared<Iterator>();
    made->depth = checked_depth(deepest(items) + 1);
    made->items = std::move(items);
    return Value(std::move(made));
}

Value Runtime::dict(Dict members) {
    charge(sizeof(Dict));
    for (const auto& [key, value] : members.members) {
        members.depth = std::max(members.depth, std::max(key.depth(), value.depth()) + 1);
    }
    checked_depth(members.depth);
    return Value(std::shared_ptr<const Dict>(std::make_shared<Dict>(std::move(members))));
}

Value Runtime::name_space(std::map<std::string, Value, std::less<>> attributes) {
    charge(sizeof(Namespace));
    namespaces_.push_back(std::make_shared<Namespace>(Namespace{std::move(attributes)}));
    return Value(namespaces_.back());
}

Runtime::~Runtime() {
    for (const auto& name_space : namespaces_) name_space->attributes.clear();
}

Runtime::Frame::Frame(Runtime& runtime, int line) : runtime_(runtime), caller_line_(runtime.line_) {
    if (runtime.depth_ >= runtime.limits_.evaluation_depth) {
        template_error(Status::unsupported, line, "evaluation is nested more than %zu levels deep (endless recursion?)",
                       runtime.limits_.evaluation_depth);
    }
    runtime.line_ = line;
    runtime.step();
    ++runtime.depth_;
}

Runtime::Frame::~Frame() {
    --runtime_.depth_;
    runtime_.line_ = caller_line_;
}

TextBuilder& TextBuilder::operator+=(std::string_view piece) {
    repeat(piece, 1);
    return *this;
}

void TextBuilder::repeat(std::string_view piece, size_t count) {
    if (piece.empty()) return;
    runtime_.charge_text(text_.size(), piece.size(), count);
    for (size_t i = 0; i < count; ++i) text_ += piece;
}

}  // namespace gq::jinja
