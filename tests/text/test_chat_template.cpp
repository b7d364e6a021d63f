// Real chat templates against Hugging Face's apply_chat_template (golden/chat_goldens.json, made by
// golden/make_chat_goldens.py), byte for byte, through the public class and through the interpreter with a clock that
// stands still.
#include "core/text/chat_template.h"

#include <doctest/doctest.h>

#include <ctime>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "core/base/status.h"
#include "tests/text/jinja_testing.h"

namespace gq {

namespace {

std::string today(const char* format) {
    const std::time_t now = std::time(nullptr);
    char text[64];
    return std::string(text, std::strftime(text, sizeof text, format, std::localtime(&now)));
}

struct Chat {
    std::vector<ChatMessage> messages;
    ChatContext context;
};

std::string member(const JsonValue& object, const char* key) {
    const JsonValue* value = object.find(key);
    return value != nullptr ? value->as_string(key) : std::string();
}

Chat make_chat(const JsonValue& golden) {
    Chat chat;
    for (const JsonValue& message : golden.at("messages", "context").as_array("messages")) {
        chat.messages.push_back({member(message, "role"), member(message, "content")});
    }
    chat.context.add_generation_prompt = golden.at("add_generation_prompt", "context").as_bool("prompt");
    chat.context.bos_token = member(golden, "bos_token");
    chat.context.eos_token = member(golden, "eos_token");
    chat.context.unk_token = member(golden, "unk_token");
    chat.context.pad_token = member(golden, "pad_token");
    return chat;
}

// The text, or the message of the Error.
template <class Render>
std::string outcome(Render render) {
    try {
        return render();
    } catch (const Error& error) {
        return std::string("error: ") + error.what();
    }
}

std::string expected_outcome(const JsonValue& row, const std::string& found) {
    if (const JsonValue* output = row.find("output")) return output->as_string("output");
    const bool failed = found.starts_with("error: ");
    const JsonValue* message = row.find("message");
    const bool says_so = message == nullptr || found.find(message->as_string("message")) != std::string::npos;
    return failed && says_so ? found : "error: " + (message != nullptr ? message->as_string("message") : "any");
}

}  // namespace

TEST_SUITE("text") {
    TEST_CASE("chat template: real templates give Hugging Face's prompts, byte for byte") {
        const JsonValue golden = read_golden_json("chat_goldens.json");
        std::map<std::string, int> rendered;
        for (const JsonValue& row : golden.at("cases", "golden").as_array("cases")) {
            const std::string name = row.at("template", "case").as_string("template");
            const std::string source = read_golden("chat_templates/" + name + ".jinja");
            const JsonValue& context = row.at("context", "case");
            CAPTURE(name);
            CAPTURE(context.dump());
            const std::string found = outcome([&] { return render_text(source, context); });
            CHECK(found == expected_outcome(row, found));
            rendered[name] += row.find("output") != nullptr;
            if (!context.at("tools", "context").is_null() || source.find("strftime_now") != std::string::npos) continue;
            Chat chat = make_chat(context);
            chat.context.messages = chat.messages;
            const std::string prompt = outcome([&] { return ChatTemplate(source).render(chat.context); });
            CHECK(prompt == expected_outcome(row, prompt));
        }
        CHECK(rendered.size() == 7);
        for (const auto& of_template : rendered)
            CHECK_MESSAGE(of_template.second >= 3, of_template.first << " has too few prompts");
    }

    TEST_CASE("chat template: strftime_now is today's local date") {
        const ChatTemplate chat_template("{{ strftime_now('%Y-%m-%d') }}");
        const std::string before = today("%Y-%m-%d"), found = chat_template.render({}), after = today("%Y-%m-%d");
        CHECK((found == before || found == after));
    }

    TEST_CASE("chat template: tokens that the model lacks are undefined, tools and documents are none") {
        const ChatTemplate chat_template(
            "{{ bos_token is defined }}{{ eos_token }}{{ unk_token is defined }}{{ pad_token is defined }}"
            "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ messages }}");
        ChatContext context;
        context.eos_token = "</s>";
        CHECK(chat_template.render(context) == "False</s>FalseFalseTrueTrueTrue[]");
    }

    TEST_CASE("chat template: raise_exception is the caller's error, in the template's words") {
        const ChatTemplate chat_template("\n{{ raise_exception('roles must alternate') }}");
        try {
            chat_template.render({});
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.status() == Status::invalid_argument);
            CHECK(std::string(error.what()) == "chat template, line 2: roles must alternate");
        }
    }

    TEST_CASE("chat template: one template renders in several threads") {
        const ChatTemplate chat_template(
            "{% macro m(x) %}<{{ x }}>{% endmacro %}{% set ns = namespace(n=0) %}{% for m_ in messages %}{% set ns.n = "
            "ns.n + 1 "
            "%}{{ m(m_.content ~ ns.n) }}{% endfor %}");
        const std::vector<ChatMessage> messages(50, ChatMessage{"user", "x"});
        ChatContext context;
        context.messages = messages;
        const std::string expected = chat_template.render(context);
        std::vector<std::string> found(4);
        std::vector<std::thread> threads;
        for (std::string& text : found) threads.emplace_back([&] { text = chat_template.render(context); });
        for (std::thread& thread : threads) thread.join();
        for (const std::string& text : found) CHECK(text == expected);
    }
}

}  // namespace gq
