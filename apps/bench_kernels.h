// ./bench --kernels: every kernel of the library, beside the scalar one and the machine's limits.
// In: how it is to be printed. Out: rows on stdout. Must not know which kernels there are.
#pragma once

namespace bench_kernels {

void print_table();
void print_json();

}  // namespace bench_kernels
