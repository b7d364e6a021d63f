// XXH64: the published fast 64-bit hash that .gq files carry for every part, section, directory and header.
// In: bytes. Out: 64 bits. It finds damage; it is no protection against somebody who alters a file on purpose.
// Must not know files: what is hashed is said by gq_file.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace gq {

// XXH64 with seed 0, as "xxHash fast digest algorithm", version 0.1.1, defines it. Equal on every machine.
uint64_t xxh64(std::span<const std::byte> bytes);

}  // namespace gq
