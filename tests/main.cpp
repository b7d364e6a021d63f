// The entry of the unit tests. Each tests/<folder>/test_*.cpp mirrors a folder of the tree.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
