// Material for tests of kernels and of what stands on them: packed matrices, activations, comparison by bits.
// In: shapes and a seed. Out: objects that own their memory, the same on every machine.
// Must not know which kernel is under test.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/base/memory.h"
#include "core/kernels/backend.h"
#include "core/packing/packing.h"
#include "formats/element_type.h"

namespace gq::test {

// SplitMix64: small, and the same numbers everywhere (std::*_distribution differ between libraries).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    size_t below(size_t n) { return static_cast<size_t>(next() % n); }
    float uniform(float low, float high) { return low + (high - low) * (static_cast<float>(next() >> 40) * 0x1p-24f); }
    // Any exponent that keeps products of a few of them finite.
    float wide() { return std::ldexp(uniform(-2.0f, 2.0f), static_cast<int>(below(41)) - 20); }

  private:
    uint64_t state_;
};

// --- packed matrices -------------------------------------------------------------------------------------------------

enum class Fill {
    random,
    all_highest,  // every code the highest there is, every zero point 0: the largest positive sums
    all_lowest,   // every code the lowest, every zero point 2^bits - 1: the largest negative ones
};
inline constexpr Fill all_fills[] = {Fill::random, Fill::all_highest, Fill::all_lowest};

// A matrix in logical form and packed.
struct PackedCase {
    LogicalWeights logical;  // integer codes; points into the vectors below
    std::vector<uint8_t> codes, zero_points;
    std::vector<float> scales, offsets;
    std::vector<float> values;  // float codes: (rows, cols), exactly representable
    AlignedBuffer<std::byte> code_bytes, scale_bytes, zero_bytes;
    PackedMatrix matrix;

    // The weight that the packed form must stand for.
    float value(size_t row, size_t col) const {
        if (matrix.codes->is_float) return values[row * matrix.cols + col];
        return grid(row, matrix.group == 0 ? 0 : col / matrix.group).value(codes[row * matrix.cols + col]);
    }
    // What the numbers of one group stand for, implied ones too.
    GroupGrid grid(size_t row, size_t group) const {
        const size_t i = row * matrix.n_groups() + group;
        return {scales[i], matrix.grid->has_zeros ? zero_points[i] : implied_zero_point(matrix), offsets[i]};
    }
    static uint8_t implied_zero_point(const PackedMatrix& m) {
        return static_cast<uint8_t>(m.grid->has_offsets ? 0 : 1u << (m.codes->value_bits - 1));
    }
};

inline PackedCase shape_case(const Codes& codes, const Grid* grid, size_t rows, size_t cols, size_t group) {
    PackedCase c;
    const PackedSizes sizes = packed_sizes(codes, grid, rows, cols, group);
    c.code_bytes = AlignedBuffer<std::byte>(sizes.code_bytes);
    c.scale_bytes = AlignedBuffer<std::byte>(sizes.scale_bytes);
    c.zero_bytes = AlignedBuffer<std::byte>(sizes.zero_bytes);
    c.matrix = {.codes = &codes,
                .grid = grid,
                .rows = rows,
                .cols = cols,
                .group = group,
                .code_bytes = c.code_bytes.data(),
                .scales = c.scale_bytes.data(),
                .zeros = c.zero_bytes.data()};
    return c;
}

// Random scales and offsets of one row, as its grid stores them; offsets of the size that weights have.
inline void fill_groups(PackedCase& c, size_t row, Random& random) {
    const Grid& grid = *c.matrix.grid;
    const size_t n_groups = c.matrix.n_groups(), unit = c.matrix.unit_groups();
    GroupGrid groups[max_unit_groups];
    for (size_t first = 0; first < n_groups; first += unit) {
        const size_t n = std::min(unit, n_groups - first), at = row * n_groups + first;
        for (size_t i = 0; i < n; ++i) {
            const float low = random.uniform(-1.0f, 0.0f);
            groups[i] = grid.nearest(random.uniform(0.001f, 0.1f), low, c.matrix.codes->value_bits);
        }
        if (grid.settle) grid.settle(groups, n, c.matrix.codes->value_bits);
        for (size_t i = 0; i < n; ++i) {
            c.scales[at + i] = groups[i].scale;
            c.offsets[at + i] = groups[i].offset;
        }
    }
}

inline PackedCase integer_case(const Codes& codes, const Grid& grid, size_t rows, size_t cols, size_t group,
                               Random& random, Fill fill = Fill::random) {
    PackedCase c = shape_case(codes, &grid, rows, cols, group);
    const unsigned highest = (1u << codes.value_bits) - 1;
    c.codes.resize(rows * cols);
    c.scales.resize(rows * c.matrix.n_groups());
    c.zero_points.resize(c.scales.size());
    for (uint8_t& code : c.codes) {
        code = static_cast<uint8_t>(fill == Fill::random        ? random.below(highest + 1)
                                    : fill == Fill::all_highest ? highest
                                                                : 0);
        if (codes.nearest) code = codes.nearest[code];
    }
    for (uint8_t& zero : c.zero_points) {
        zero = static_cast<uint8_t>(fill == Fill::random        ? random.below(highest + 1)
                                    : fill == Fill::all_highest ? 0
                                                                : highest);
    }
    c.offsets.resize(c.scales.size());
    for (size_t row = 0; row < rows; ++row) fill_groups(c, row, random);
    c.logical = {.rows = rows,
                 .cols = cols,
                 .group = group,
                 .codes = c.codes.data(),
                 .scales = c.scales.data(),
                 .zero_points = c.zero_points.data(),
                 .offsets = c.offsets.data()};
    pack_panels(c.logical, codes, grid, 0, c.matrix.n_panels(), c.code_bytes.data(), c.scale_bytes.data(),
                c.zero_bytes.data());
    return c;
}

// Panels [begin, end) in 8-bit layout, one after another, by the scalar unpack.
inline std::vector<uint8_t> expand_panels(const PackedMatrix& w, size_t begin, size_t end) {
    const size_t panel_bytes = w.n_tiles() * tile_values;
    std::vector<uint8_t> expanded((end - begin) * panel_bytes);
    for (size_t panel = begin; panel < end; ++panel)
        scalar_table().unpack[codes_index(*w.codes)](w.panel_codes(panel), w.n_tiles(),
                                                     expanded.data() + (panel - begin) * panel_bytes);
    return expanded;
}

// n floats that `codes` holds exactly.
inline std::vector<float> representable_floats(const Codes& codes, size_t n, Random& random) {
    std::vector<float> values(n);
    for (float& value : values) value = random.uniform(-1.0f, 1.0f);
    std::vector<std::byte> elements(n * codes.bits / 8);
    codes.pack_floats(values.data(), n, elements.data());
    codes.unpack_floats(elements.data(), n, values.data());
    return values;
}

inline PackedCase float_case(const Codes& codes, size_t rows, size_t cols, Random& random) {
    PackedCase c = shape_case(codes, nullptr, rows, cols, 0);
    c.values = representable_floats(codes, rows * cols, random);
    pack_float_panels(c.values.data(), cols, rows, cols, codes, 0, c.matrix.n_panels(), c.code_bytes.data());
    return c;
}

// For messages: doctest prints a std::string, but a const char* as an address.
inline std::string describe(const PackedMatrix& m) {
    return std::string(m.codes->name) + " " + (m.grid ? m.grid->name : "-") + " " + std::to_string(m.rows) + " x " +
           std::to_string(m.cols) + " group " + std::to_string(m.group);
}

// --- activations -----------------------------------------------------------------------------------------------------

// Values at which kernels go wrong: zeros, subnormals, the borders of ranges, ties, infinities, NaN.
inline std::vector<float> special_floats() {
    const float inf = std::numeric_limits<float>::infinity(), max = std::numeric_limits<float>::max();
    const float tiny = std::numeric_limits<float>::denorm_min(), smallest = std::numeric_limits<float>::min();
    std::vector<float> values{0.0f,
                              tiny,
                              3 * tiny,
                              smallest,
                              1e-38f,
                              0x1.fffffep-127f,
                              9e-31f,
                              1e-30f,
                              1.1e-30f,
                              1e-20f,
                              0.5f,
                              1.0f,
                              1.5f,
                              2.5f,
                              63.5f,
                              126.5f,
                              127.0f,
                              87.3f,
                              88.8f,
                              89.5f,
                              103.9f,
                              104.1f,
                              150.0f,
                              1e6f,
                              1e20f,
                              max / 2,
                              max,
                              inf,
                              std::numeric_limits<float>::quiet_NaN()};
    for (size_t i = 0, n = values.size(); i < n; ++i) values.push_back(-values[i]);
    return values;
}

inline std::vector<float> random_floats(size_t n, Random& random, float magnitude = 4.0f) {
    std::vector<float> values(n);
    for (float& value : values) value = random.uniform(-magnitude, magnitude);
    return values;
}

// Random floats of many magnitudes, about one in `rarity` of them special.
inline std::vector<float> wild_floats(size_t n, Random& random, size_t rarity = 50) {
    static const std::vector<float> special = special_floats();
    std::vector<float> values(n);
    for (float& value : values)
        value = random.below(rarity) == 0 ? special[random.below(special.size())] : random.wide();
    return values;
}

// Rows of floats with a stride that whole tiles fill; what is beyond the width is 0.
struct Block {
    std::vector<float> values;
    Activations view;
    Block(size_t rows, size_t width) : values(rows * round_up(width, tile_cols)) {
        view = {values.data(), round_up(width, tile_cols), width};
    }
};

inline Block random_block(size_t rows, size_t width, Random& random) {
    Block block(rows, width);
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < width; ++c) block.view.row(r)[c] = random.uniform(-2, 2);
    return block;
}

inline bool same_bits(const Block& a, const Block& b) {
    return a.values.size() == b.values.size() &&
           std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(float)) == 0;
}

// Owns what Q8Rows points to.
struct Q8Case {
    std::vector<int8_t> values;
    std::vector<float> scales;
    std::vector<int16_t> sums;
    size_t n_blocks;

    Q8Case(size_t n_tokens, size_t cols)
        : values(n_tokens * div_up(cols, q8_block) * q8_block),
          scales(n_tokens * div_up(cols, q8_block)),
          sums(scales.size() * 2),
          n_blocks(div_up(cols, q8_block)) {}
    Q8Rows rows() { return {values.data(), scales.data(), sums.data(), n_blocks}; }
    void set_sums() {
        for (size_t i = 0; i < sums.size(); ++i) {
            int sum = 0;
            for (size_t k = 0; k < 16; ++k) sum += values[i * 16 + k];
            sums[i] = static_cast<int16_t>(sum);
        }
    }
};

inline std::vector<float> group_sums(const PackedMatrix& m, Q8Case& q8) {
    std::vector<float> sums(q8.scales.size() / q8.n_blocks * m.n_groups());
    sum_groups(q8.rows(), q8.scales.size() / q8.n_blocks, m, sums.data());
    return sums;
}

enum class Q8Fill { random, highest, lowest, alternating };
inline constexpr Q8Fill all_q8_fills[] = {Q8Fill::random, Q8Fill::highest, Q8Fill::lowest, Q8Fill::alternating};

// Activations whose padding past `cols` is zero, as quantize_q8 leaves it.
inline Q8Case q8_case(size_t n_tokens, size_t cols, Random& random, Q8Fill fill = Q8Fill::random) {
    Q8Case c(n_tokens, cols);
    for (size_t i = 0; i < c.values.size(); ++i) {
        const size_t col = i % (c.n_blocks * q8_block);
        const int any = static_cast<int>(random.below(255)) - 127;
        const int sign = fill == Q8Fill::lowest || (fill == Q8Fill::alternating && col % 2) ? -1 : 1;
        c.values[i] = static_cast<int8_t>(col >= cols ? 0 : fill == Q8Fill::random ? any : sign * 127);
    }
    for (float& scale : c.scales) scale = random.uniform(0.0f, 0.1f);
    c.set_sums();
    return c;
}

// --- comparison ------------------------------------------------------------------------------------------------------

inline bool same_bits(float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

// The first index at which two results differ, n if none: memcmp, but for the payload of NaNs, which contracts leave
// open.
inline size_t first_difference(const float* a, const float* b, size_t n) {
    if (n == 0 || std::memcmp(a, b, n * sizeof(float)) == 0) return n;
    for (size_t i = 0; i < n; ++i) {
        if (!same_bits(a[i], b[i])) return i;
    }
    return n;
}
inline size_t first_difference(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() ? first_difference(a.data(), b.data(), a.size()) : 0;
}

// What stands in outputs before a call: a kernel that writes outside its range changes one of these.
inline constexpr float untouched = -12345.678f;

}  // namespace gq::test
