// The version of this tree, as text for provenance.
// In: nothing. Out: "major.minor.patch", one fact with gq.h's GQ_VERSION_*: core/api checks that they agree.
// Must not know who prints it.
#pragma once

namespace gq {

inline constexpr const char* version_text = "0.1.0";

}  // namespace gq
