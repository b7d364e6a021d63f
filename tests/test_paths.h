// Where tests find their files, and what is in them.
// In: a name below tests/golden; a path. Out: its path below GQ_TEST_ROOT, else below the current folder (the
// repository's root); bytes. Must not know who tests what.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

inline std::filesystem::path golden_path(const std::string& name) {
    const char* root = std::getenv("GQ_TEST_ROOT");
    return std::filesystem::path(root ? root : ".") / "tests" / "golden" / name;
}

inline std::string file_bytes(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path.string() + " is not there (tests run in the root, or with GQ_TEST_ROOT)");
    return {std::istreambuf_iterator<char>(file), {}};
}
