// Where tests find their files: below GQ_TEST_ROOT, else below the current folder (the repository's root).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

inline std::filesystem::path golden_path(const std::string& name) {
    const char* root = std::getenv("GQ_TEST_ROOT");
    return std::filesystem::path(root ? root : ".") / "tests" / "golden" / name;
}
