// A tiny model for tests: one of the committed random ones, quantized here: a Llama, "opt" or "bloom".
// In: its name and options. Out: a .gq in the temporary folder, removed with the object.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>

#include "core/model/loaded_model.h"
#include "core/quantize/quantize.h"
#include "tests/test_paths.h"

// A path that no other test and no other process uses; removed at the end.
class TemporaryPath {
  public:
    explicit TemporaryPath(const std::string& name)
        : path_(std::filesystem::temp_directory_path() / ("gq_test_" + std::to_string(getpid()) + "_" + name)) {
        std::filesystem::remove_all(path_);
    }
    TemporaryPath(const TemporaryPath&) = delete;
    TemporaryPath& operator=(const TemporaryPath&) = delete;
    ~TemporaryPath() { std::filesystem::remove_all(path_); }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

inline std::filesystem::path tiny_path(const std::string& name) {
    return golden_path((name == "opt" || name == "bloom" ? "tiny_" : "tiny_llama_") + name);
}

inline void quantize_tiny(const std::string& name, const std::filesystem::path& out, const gq::QuantizeOptions& options,
                          size_t threads = 1, const char* isa = "") {
    gq::ThreadPool pool(threads);
    gq::quantize_model(tiny_path(name), out, options, {pool, gq::kernel_table(isa)}, {});
}

// Small calibration: the tiny models have 256 positions.
inline gq::QuantizeOptions tiny_options(unsigned bits) {
    gq::QuantizeOptions options;
    options.bits = bits;
    options.group = 32;
    options.windows = 4;
    options.window = 128;
    return options;
}
