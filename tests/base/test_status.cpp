// Errors that say what they are about. In: work that fails. Out: its message and status. Must not know who catches
// them.
#include "core/base/status.h"

#include <doctest/doctest.h>

using namespace gq;

TEST_SUITE("base") {
    TEST_CASE("an error inside of named work says the name and keeps its status; results pass") {
        CHECK(naming("blocks.1.attn_q", [] { return 7; }) == 7);
        try {
            naming("blocks.1.attn_q", [] { fail(Status::numeric, "weights (%d, 0)", 3); });
            FAIL("no error");
        } catch (const Error& error) {
            CHECK(error.status() == Status::numeric);
            CHECK(std::string(error.what()) == "blocks.1.attn_q: weights (3, 0)");
        }
    }
}
