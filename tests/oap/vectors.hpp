#pragma once

#include "oap/wire.hpp"

#include <string>
#include <vector>

namespace ron::oap::test {

/// One line of tests/vectors/oap1-vectors.txt with its line of oap1-expected.txt.
struct golden {
  std::string name{};
  wire bytes{};
  std::string expected{}; ///< a kind, or bucket/reason
  bool at_eof = false;  ///< expected only after the end of input
  bool good() const { return expected.find('/') == std::string::npos; }
};

/// All vectors in the order of the file. Throws if the two files do not belong together.
std::vector<golden> load_vectors();

} // namespace ron::oap::test
