// The version of this tree, as text for provenance. One fact with gq.h's GQ_VERSION_*: api checks that they agree.
#pragma once

namespace gq {

inline constexpr const char* version_text = "0.1.0";

}  // namespace gq
