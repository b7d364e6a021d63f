// The standard headers that most files use, for the Makefile to precompile.
// In: nothing. Out: declarations. No file includes it or relies on it: each includes what it uses, which builds without
// precompiled headers (Clang, CMake) hold. Must not name any header of gq.
#ifndef GQ_STD_H  // no #pragma once: the Makefile compiles this header by itself
#define GQ_STD_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#endif
