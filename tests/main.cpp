// The entry of the unit tests. Each tests/<folder>/test_*.cpp mirrors a folder of the tree.
// In: doctest's options. Out: its exit status. Must hold no test.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
