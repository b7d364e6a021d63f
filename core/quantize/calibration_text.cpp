// Joins the parts of the built-in text. See calibration_text.h.
// In: calibration_text/*.inc, each a sequence of raw string literals. Out: one text. Must not know who reads it.
#include "core/quantize/calibration_text.h"

#include <string>

namespace gq {
namespace {

const char encyclopedic[] =
#include "core/quantize/calibration_text/encyclopedic.inc"
    ;
const char corpus[] =
#include "core/quantize/calibration_text/corpus.inc"
    ;
const char narrative[] =
#include "core/quantize/calibration_text/narrative.inc"
    ;
const char dialogue[] =
#include "core/quantize/calibration_text/dialogue.inc"
    ;
const char instructions[] =
#include "core/quantize/calibration_text/instructions.inc"
    ;
const char code[] =
#include "core/quantize/calibration_text/code.inc"
    ;
const char tables[] =
#include "core/quantize/calibration_text/tables.inc"
    ;
const char languages[] =
#include "core/quantize/calibration_text/languages.inc"
    ;

// Without counting to the terminator, which would cost the compiler seconds.
template <size_t n>
std::string_view literal(const char (&text)[n]) {
    return {text, n - 1};
}

}  // namespace

std::string_view builtin_calibration_text() {
    static const std::string text = [] {
        std::string all;
        for (const std::string_view part :
             {literal(encyclopedic), literal(corpus), literal(narrative), literal(dialogue), literal(instructions),
              literal(code), literal(tables), literal(languages)})
            all.append(part).append("\n");
        return all;
    }();
    return text;
}

}  // namespace gq
