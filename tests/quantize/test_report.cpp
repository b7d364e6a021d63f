// The report: figures added up right, a page that is well-formed whatever the names say, every tensor once.
#include <doctest/doctest.h>

#include "core/quantize/file_report.h"
#include "core/quantize/html.h"
#include "core/quantize/report.h"
#include "core/quantize/report_data.h"
#include "core/quantize/report_html.h"
#include "tests/tiny_model.h"

using namespace gq;

namespace {

size_t count_of(const std::string& text, const std::string& words) {
    size_t n = 0;
    for (size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++n;
    return n;
}

bool is_entity(std::string_view rest) {
    for (const char* name : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
        if (rest.starts_with(name)) return true;
    return false;
}

// A tag from '<' on: moves at behind it; attributes must be name="value".
std::string check_tag(const std::string& page, size_t& at, std::vector<std::string>& open) {
    const size_t end = page.find('>', at);
    if (end == std::string::npos) return "a tag without an end";
    const std::string tag = page.substr(at + 1, end - at - 1);
    at = end + 1;
    if (tag == "!DOCTYPE html") return "";
    if (tag.find('<') != std::string::npos || count_of(tag, "\"") % 2 != 0) return "'" + tag + "'";
    if (count_of(tag, "=\"") * 2 != count_of(tag, "\"")) return "attributes of '" + tag + "'";
    if (tag.starts_with("/")) {
        if (open.empty() || open.back() != tag.substr(1)) return "'" + tag + "' closes nothing";
        open.pop_back();
    } else if (!tag.ends_with("/")) {
        open.push_back(tag.substr(0, tag.find(' ')));
    }
    return "";
}

// "" or what is not well-formed: tags nest, entities are known, characters are those of XML.
std::string fault_of(const std::string& page) {
    if (!is_utf8(page)) return "ill-formed UTF-8";
    std::vector<std::string> open;
    for (size_t at = 0; at < page.size();) {
        const unsigned char c = static_cast<unsigned char>(page[at]);
        if (c == '<') {
            const std::string fault = check_tag(page, at, open);
            if (!fault.empty()) return fault;
            continue;
        }
        if (c == '&' && !is_entity(std::string_view(page).substr(at))) return "an & at " + page.substr(at, 20);
        if (c < 0x20 && c != '\n' && c != '\t') return "a control character";
        ++at;
    }
    return open.empty() ? "" : "not closed: " + open.back();
}

std::string row_of(const std::string& name) {
    return "<tr><th scope=\"row\">" + name + "</th>";
}

JsonValue tensor_json(const std::string& name, const std::string& codes, double loss, double rtn_loss) {
    return parse_json(
        R"({"name":")" + name + R"(","codes":")" + codes +
            R"(","grid":"zero_point","shape":[10,20],"group":32,"bytes":{"codes":100,"scales":20,"zeros":5},)"
            R"("error":0.25,"loss":)" +
            std::to_string(loss) + R"(,"rtn_loss":)" + std::to_string(rtn_loss) +
            R"(,"predicted_loss":2,"damping":0.1,"damping_retries":1,"note":"damping raised 1 times"})",
        "tensor");
}

JsonValue report_of(JsonValue::Array tensors) {
    JsonValue report;
    report.set("tensors", JsonValue::of_array(std::move(tensors)));
    report.set("sections", parse_json(R"({"tokenizer":300,"model":7})", "sections"));
    report.set("file_bytes", JsonValue::of_integer(1000));
    return report;
}

}  // namespace

TEST_SUITE("report") {
    TEST_CASE("a tiny model's page: well-formed, nothing to load, every tensor once, every linear in every map") {
        const TemporaryPath out("page.gq"), page_path("page.html"), json_path("page.json");
        for (const TemporaryPath* path : {&json_path, &page_path}) {
            QuantizeOptions options = tiny_options(3);
            options.lorc_rank = 4;
            options.report = path->path();
            quantize_tiny("untied", out.path(), options);
        }
        const GqFile file(out.path());
        const std::string page = report_page(file_report(file, "page.gq"));
        CHECK(fault_of(page) == "");
        for (const char* words : {"<script", "<link", "src=", "href=", "url(", "//"}) CHECK(count_of(page, words) == 0);
        size_t n_linears = 0;
        const std::string every_tensor = page.substr(page.find("<h2>Every tensor</h2>"));
        for (const GqTensor& tensor : file.tensors()) {
            CAPTURE(tensor.name);
            CHECK(count_of(every_tensor, row_of(tensor.name)) == 1);
            const bool linear = tensor.rows > 1 && tensor.name.starts_with("blocks.");
            CHECK(count_of(page, "<title>" + tensor.name + ": ") == (linear ? 3 : 0));  // error, loss, against rounding
            n_linears += linear;
        }
        CHECK(n_linears == 2 * 7);
        CHECK(count_of(page, "<title>corrections of low rank: ") == 1);
        // The files beside the model: the same report, and the time.
        JsonValue json = parse_json(file_bytes(json_path.path()), "report");
        CHECK(json.at("seconds", "report").as_number("seconds") > 0);
        CHECK(fault_of(file_bytes(page_path.path())) == "");
        CHECK(count_of(file_bytes(page_path.path()), "scope=\"row\">seconds</th>") == 1);
        CHECK(count_of(page, "seconds") == 0);
        const std::string from_json = report_page(json);
        CHECK(from_json == report_page(json));
        CHECK(from_json.substr(0, from_json.find("<h2>How")) == page.substr(0, page.find("<h2>How")));
    }

    TEST_CASE("figures of tensors are added up by role, and over all linears") {
        const ReportData data =
            report_data(report_of({tensor_json("blocks.0.up", "int4", 1, 4), tensor_json("blocks.1.up", "int2", 3, 4),
                                   tensor_json("head", "int8", 5, 5)}));
        REQUIRE(data.roles.size() == 2);
        const Summary& up = data.roles[0];
        CHECK(up.role == "up");
        CHECK(up.n_tensors == 2);
        CHECK(up.damping_retries == 2);
        CHECK(up.bits() == 8 * 125.0 / 200);
        CHECK(up.mean_error() == 0.25);
        CHECK(up.of_rounding() == 0.5);  // (1 + 3) ÷ (4 + 4)
        CHECK(up.of_predicted() == 1);   // (1 + 3) ÷ (2 + 2)
        CHECK(up.mix() == "1 × int4 zero_point g32; 1 × int2 zero_point g32");
        CHECK(data.linears.n_tensors == 2);  // the head is in no block
        CHECK(data.size.codes == 300);
        CHECK(data.size.scales == 60);
        CHECK(data.size.zeros == 15);
        CHECK(data.size.tokenizer == 300);
        CHECK(data.size.other == 1000 - 375 - 300);
        const std::string table = role_table(data);
        CAPTURE(table);
        CHECK(count_of(table, "\n") == 4);  // title, up, head, all linears
        CHECK(table.find("\nup                     2       400       5       0.25          0.5") != std::string::npos);
        CHECK(role_table(report_data(JsonValue())) == "");
    }

    TEST_CASE("a correction's error and loss are what is left behind it; the solver's account is of what was before") {
        JsonValue tensor = tensor_json("blocks.0.up", "int4", 1, 4), lorc;
        lorc.set("rank", JsonValue::of_integer(8));
        lorc.set("error", JsonValue::of_number(0.125));
        lorc.set("loss", JsonValue::of_number(0.5));
        tensor.set("lorc", lorc);
        const ReportData data = report_data(report_of({tensor}));
        CHECK(data.linears.mean_error() == 0.125);
        CHECK(data.linears.of_rounding() == 0.125);
        CHECK(data.linears.of_predicted() == 0.5);
    }

    TEST_CASE("the quantizer's verdict is told, and gives way to what ./perplexity measured") {
        JsonValue report = report_of({tensor_json("blocks.0.up", "int4", 1, 4)}), verdict, figures;
        CHECK(report_data(report).verdict == "");
        verdict.set("kl", JsonValue::of_number(0.25));
        verdict.set("ppl", JsonValue::of_number(31.25));
        verdict.set("float_ppl", JsonValue::of_number(23.5));
        verdict.set("tokens", JsonValue::of_integer(1024));
        report.set("verdict", verdict);
        const std::string told = report_data(report).verdict;
        CHECK(told ==
              "On 1024 tokens that nothing was fitted to: KL from the float model 0.25, perplexity 31.25 "
              "beside 23.5.");
        CHECK(role_table(report_data(report)).find(told) != std::string::npos);
        CHECK(report_page(report).find(told) != std::string::npos);
        CHECK(report_page(report).find("<b>31.25</b><span>perplexity; float 23.5</span>") != std::string::npos);
        figures.set("ppl", JsonValue::of_number(40.5));
        report.set("figures", figures);
        CHECK(report_page(report).find("<b>40.5</b><span>perplexity</span>") != std::string::npos);
        for (const char* missing : {"kl", "ppl", "float_ppl"}) {
            JsonValue other = report_of({tensor_json("blocks.0.up", "int4", 1, 4)}), part = JsonValue::of_object({});
            for (const char* key : {"kl", "ppl", "float_ppl"})
                part.set(key, key == missing ? JsonValue::of_string("much") : JsonValue::of_number(2.5));
            other.set("verdict", part);
            CHECK(report_data(other).verdict == "");
            CHECK_NOTHROW(report_page(other));
        }
    }

    TEST_CASE("what refinement did is told beside losses, which are those before it") {
        JsonValue report = report_of({tensor_json("blocks.0.up", "int4", 1, 4)}), refinement;
        CHECK(report_data(report).refinement == "");
        refinement.set("kl_before", JsonValue::of_number(0.25));
        refinement.set("kl_after", JsonValue::of_number(0.125));
        refinement.set("kept_epoch", JsonValue::of_integer(2));
        report.set("refinement", refinement);
        const std::string told = report_data(report).refinement, page = report_page(report);
        CHECK(
            told ==
            "Refined end to end: KL from the float model on held-out windows 0.25 before, 0.125 after (epoch 2 kept). "
            "Losses are those before it.");
        CHECK(role_table(report_data(report)).ends_with("\n\n" + told + "\n"));
        CHECK(fault_of(page) == "");
        CHECK(count_of(page, told) == 1);
    }

    TEST_CASE("several codes give a map of their own; a note marks its cell") {
        const std::string page = report_page(
            report_of({tensor_json("blocks.0.up", "int4", 1, 4), tensor_json("blocks.1.up", "int2", 3, 4)}));
        CHECK(fault_of(page) == "");
        CHECK(count_of(page, "<title>blocks.1.up: int2 zero_point g32</title>") == 1);
        CHECK(count_of(page, ">2</text>") == 1);
        CHECK(count_of(page, ">!</text>") == 2 * 2);
        CHECK(page.find("Damping: 0.1 of the Hessian&#39;s mean diagonal for 2 of the linears.") != std::string::npos);
    }

    TEST_CASE("measured figures are shown where they are known") {
        JsonValue report = report_of({tensor_json("blocks.0.up", "int4", 1, 4)});
        CHECK(report_page(report).find("Measured") == std::string::npos);
        const JsonValue figures = parse_json(
            R"({"ppl": 25.6612, "ppl_error": 0.31, "reference_ppl": 23.215, "kl_mean": 0.0912, "same_top": 0.8125})",
            "");
        CHECK(has_figures(figures));
        CHECK_FALSE(has_figures(parse_json(R"({"tensors": [], "ppl": "25"})", "")));
        CHECK_FALSE(has_figures(parse_json("[1]", "")));
        report.set("figures", figures);
        const std::string page = report_page(report);
        CHECK(fault_of(page) == "");
        CHECK(count_of(page, row_of("perplexity") + "<td>25.661</td><td>± 0.31</td>") == 1);
        CHECK(count_of(page, row_of("same most likely token") + "<td>81.25 %</td>") == 1);
        CHECK(count_of(page, "KL, median") == 0);
    }

    TEST_CASE("hostile names and values: the page stays well-formed, and as large as what it shows") {
        CHECK(escaped("<a href='x'>&\"") == "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        CHECK(escaped(std::string("a\0b\x1B\x7F", 5)) ==
              "a\xEF\xBF\xBD"
              "b\xEF\xBF\xBD\xEF\xBF\xBD");
        CHECK(escaped("\xFF é") == "\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD");  // é stands in what is ill-formed
        CHECK(escaped("é\xEF\xBF\xBF") == "é\xEF\xBF\xBD");
        const std::string script = "</title></style><script>alert('&')</script>\"";
        for (const char* name : {"blocks.4294967295.x", "blocks.99999999999999999999.x", "blocks.", "blocks.1",
                                 "blocks.1.", "blocks.-1.x", "", "blocks.0.</text>"}) {
            CAPTURE(name);
            JsonValue tensor = tensor_json("x", "int4", 1, 4), evil;
            for (const auto& [key, value] : tensor.as_object(""))
                evil.set(key, key == "name" ? JsonValue::of_string(name) : value);
            evil.set("note", JsonValue::of_string(script));
            JsonValue report = report_of({evil,
                                          parse_json(R"({"name":"blocks.0.y","codes":3,"shape":[1e300,2],)"
                                                     R"("error":-1,"loss":1e59,"rtn_loss":1e-300,"bytes":[]})",
                                                     ""),
                                          JsonValue::of_integer(7)});
            report.set("source", parse_json(R"({"name":")"
                                            "\\\"<b>"
                                            R"(","kind":[1]})",
                                            ""));
            report.set(script, JsonValue::of_string(script));
            const std::string page = report_page(report);
            CHECK(fault_of(page) == "");
            CHECK(count_of(page, "<script") == 0);
            CHECK(page.size() < 40000);
        }
        for (const char* text : {"null", "[]", "7", R"({"tensors":7,"sections":[],"file_bytes":"x","options":3})"})
            CHECK(fault_of(report_page(parse_json(text, ""))) == "");
    }

    TEST_CASE("the provenance tells how often damping was raised, and what the solver foretold") {
        RunReport run;
        TensorReport tensor;
        tensor.name = "t";
        tensor.rows = 2;
        tensor.solved = true;
        tensor.solve.loss = 8;
        tensor.solve.damping_retries = 3;
        run.tensors = {tensor};
        const JsonValue json = parse_json(provenance_json({}, run), "provenance");
        const JsonValue& entry = json.at("tensors", "").as_array("")[0];
        CHECK(entry.at("predicted_loss", "").as_number("") == 4);
        CHECK(entry.at("damping_retries", "").as_integer("") == 3);
    }
}
