// What happened to each tensor, as JSON: the provenance inside the .gq, and the report beside it.
// In: options, hashes, solver reports. Out: text. The provenance holds no time, host or thread count: same input, same bytes.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/quantize/quantize.h"
#include "formats/checkpoint.h"

namespace gq {

struct TensorReport {
    std::string name, codes, note;
    size_t rows = 0, cols = 0;
    bool solved = false;
    SolveReport solve;
};

struct RunReport {
    std::string source_name, source_kind, architecture;
    uint64_t source_hash = 0;       // XXH64 over the hashes of the source's tensors, in the order of use
    std::string calibration_name;   // "built-in", or the file's name; empty without calibration
    uint64_t calibration_hash = 0;  // XXH64 of the text
    std::vector<TensorReport> tensors;
};

std::string provenance_json(const QuantizeOptions& options, const RunReport& run);
// The provenance and `seconds`.
std::string report_json(const QuantizeOptions& options, const RunReport& run, double seconds);

// The report on its way to disk: opened before the work starts, so that a path that can't be written costs no hours, and under its
// name only when it is complete.
class ReportFile {
  public:
    explicit ReportFile(std::filesystem::path path);  // empty: no report. Error(io) where it can't be created
    ~ReportFile();
    ReportFile(const ReportFile&) = delete;
    ReportFile& operator=(const ReportFile&) = delete;
    void finish(const std::string& text);  // Error(io)

  private:
    std::filesystem::path path_, partial_;
    std::ofstream file_;
};

// "" or what deserves attention: retries of damping, a fallback, dead inputs, a self-check that does not hold.
std::string note_of(const SolveReport& solve);

}  // namespace gq
