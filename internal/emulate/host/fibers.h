#pragma once
#include "emulate.h"
#include <string>

namespace emulate {
const Kernel *find(const std::string &name);
// run executes a grid, block after block; on failure it says why.
bool run(const Kernel *k, Dim grid, unsigned threads, unsigned shared, const void *param, std::string &why);
} // namespace emulate
