// Lists of names for messages: what would have been known, or possible.
// In: items, and what each is called. Out: "a, b, c". Must not know what the names mean.
#pragma once

#include <string>

namespace gq {

// name_of(item): anything that a std::string is made from; empty leaves the item out.
template <class Items, class NameOf>
std::string join_names(const Items& items, const NameOf& name_of) {
    std::string list;
    for (const auto& item : items) {
        const std::string name(name_of(item));
        if (!name.empty()) list += (list.empty() ? "" : ", ") + name;
    }
    return list;
}

}  // namespace gq
