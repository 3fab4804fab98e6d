#pragma once

#include <cstdint>

namespace ron::bench {

/// How often this process has asked for heap memory so far: malloc, calloc, realloc and the aligned
/// ones, of every library in it; operator new is among them. Counted in programs that link
/// allocations.cpp, exact where one thread runs.
std::uint64_t allocations() noexcept;

} // namespace ron::bench
