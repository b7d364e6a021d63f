// Joins the parts of the built-in text. Each .inc is a sequence of raw string literals. See calibration_text.h.
#include "core/quantize/calibration_text.h"

#include <string>

namespace gq {
namespace {

constexpr char encyclopedic[] =
#include "core/quantize/calibration_text/encyclopedic.inc"
    ;
constexpr char narrative[] =
#include "core/quantize/calibration_text/narrative.inc"
    ;
constexpr char dialogue[] =
#include "core/quantize/calibration_text/dialogue.inc"
    ;
constexpr char instructions[] =
#include "core/quantize/calibration_text/instructions.inc"
    ;
constexpr char code[] =
#include "core/quantize/calibration_text/code.inc"
    ;
constexpr char tables[] =
#include "core/quantize/calibration_text/tables.inc"
    ;
constexpr char languages[] =
#include "core/quantize/calibration_text/languages.inc"
    ;

}  // namespace

std::string_view builtin_calibration_text() {
    static const std::string text = [] {
        std::string all;
        for (const std::string_view part : {std::string_view(encyclopedic), std::string_view(narrative), std::string_view(dialogue),
                                            std::string_view(instructions), std::string_view(code), std::string_view(tables),
                                            std::string_view(languages)})
            all.append(part).append("\n");
        return all;
    }();
    return text;
}

}  // namespace gq
