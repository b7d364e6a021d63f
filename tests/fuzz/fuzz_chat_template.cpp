// Fuzzes the template language: lexer, parser and interpreter, with a chat and tools as variables.
// In: bytes, taken as a template. Out: nothing, or Error. Limits are small, so that an endless template ends soon; what
// it prints obeys them.
#include <ctime>
#include <string>

#include "core/base/status.h"
#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_parser.h"

namespace {

using gq::jinja::Value;

Value dict(gq::jinja::Runtime& runtime, std::initializer_list<std::pair<const char*, Value>> members) {
    gq::jinja::Dict dict;
    for (const auto& [name, value] : members) insert(runtime, dict, Value::text(name), value);
    return runtime.dict(std::move(dict));
}

gq::jinja::Variables make_variables() {
    gq::jinja::Runtime runtime({}, {});
    const auto message = [&](const char* role, const char* content) {
        return dict(runtime, {{"role", Value::text(role)}, {"content", Value::text(content)}});
    };
    const Value function = dict(runtime, {{"name", Value::text("f")}, {"n", Value(int64_t{3})}, {"x", Value(1.5)}});
    return {
        {"messages",
         runtime.list({message("system", " Be kind. "), message("user", "Hi \xC3\xA9\n"), message("assistant", "")})},
        {"tools", runtime.list({dict(runtime, {{"function", function}})})},
        {"documents", Value()},
        {"add_generation_prompt", Value(true)},
        {"bos_token", Value::text("<s>")},
        {"eos_token", Value::text("</s>")},
    };
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const gq::jinja::Variables variables = make_variables();
    gq::jinja::Limits limits;
    limits.steps = 100'000;
    limits.work_bytes = size_t{8} << 20;
    limits.text_bytes = size_t{1} << 20;
    try {
        const gq::jinja::Block block = gq::jinja::parse({reinterpret_cast<const char*>(data), size});
        if (gq::jinja::render(block, variables, std::tm{}, limits).size() > limits.text_bytes) __builtin_trap();
    } catch (const gq::Error&) {
    }
    return 0;
}
