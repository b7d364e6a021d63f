// The registered codes and grids, by name.
// In: registry.inc, which the build writes from the names of codes_X.cpp and grid_X.cpp.
// Out: the lists and the look-ups of packing.h. Must not know what any of them does.
#include "core/packing/packing.h"

namespace gq {

#define GQ_CODES(name) extern const Codes name;
#define GQ_GRID(name) extern const Grid name;
#include "registry.inc"
#undef GQ_CODES
#undef GQ_GRID

namespace {

// Each list ends in a null, so that an empty one is a valid array too.
constexpr const Codes* codes_list[] = {
#define GQ_CODES(name) &name,
#include "registry.inc"
#undef GQ_CODES
    nullptr};

constexpr const Grid* grid_list[] = {
#define GQ_GRID(name) &name,
#include "registry.inc"
#undef GQ_GRID
    nullptr};

template <class T>
const T* find_named(std::span<const T* const> list, std::string_view name) {
    for (const T* entry : list) {
        if (name == entry->name) return entry;
    }
    return nullptr;
}

}  // namespace

std::span<const Codes* const> all_codes() {
    return {codes_list, std::size(codes_list) - 1};
}
std::span<const Grid* const> all_grids() {
    return {grid_list, std::size(grid_list) - 1};
}
const Codes* find_codes(std::string_view name) {
    return find_named(all_codes(), name);
}
const Codes* find_integer_codes(unsigned bits) {
    for (const Codes* codes : all_codes()) {
        if (!codes->is_float && !codes->nearest && codes->bits == bits) return codes;
    }
    return nullptr;
}
const Grid* find_grid(std::string_view name) {
    return find_named(all_grids(), name);
}

}  // namespace gq
