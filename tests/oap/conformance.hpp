#pragma once

#include "core/json.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

/// Runs the conformance vectors of tests/vectors/oap1 (README.md there has their format).
namespace ron::oap::test {

/// The vectors of `frames.json` or `sessions.json`.
core::json load_conformance(const std::string& file);

/// Where the input of a session vector is cut: never, at every byte, or once.
struct cut {
  enum { none, every_byte, once } how = none;
  std::size_t step = 0; ///< of `once`: which step
  std::size_t at = 0;   ///< and after how many of its bytes
};

/// "" if the vector comes out as it says, else what differs.
std::string run_session_vector(const core::json& vector, const cut& c = {});
/// One vector at every prefix of its bytes.
std::string run_frame_vector(const core::json& vector);

/// Bytes of each `receive` step, 0 for other steps.
std::vector<std::size_t> input_sizes(const core::json& vector);

/// Copies of a vector in each of which one expected value is another: a number more, a flag turned,
/// a list shorter or longer.
std::vector<core::json> with_wrong_expectations(const core::json& vector);
/// Copies in each of which one received frame is missing, together with the frames of all later
/// receive steps. Only the last frames, one copy a step.
std::vector<core::json> with_missing_input(const core::json& vector);

} // namespace ron::oap::test
