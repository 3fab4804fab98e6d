#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace ron::oap::test {

/// The next number of a source, 0 to n - 1.
using chooser = std::function<std::uint64_t(std::uint64_t n)>;

struct history_result {
  std::string failure{}; ///< "" = the session did as the specification says
  std::string story{};   ///< what happened, a line per step, if a failure was found
  std::uint64_t frames = 0;
  std::map<std::uint64_t, std::uint64_t> rejects{}; ///< by fine detail
  std::uint64_t acks = 0;
};

/// One random history of a session: frames from a peer that mostly keeps the rules, cut anywhere,
/// commands of an owner, takes of a link; after each step the real session and the specification
/// must agree on events, output, counters and open streams. Every choice comes from `choose`.
history_result run_history(const chooser& choose, std::uint64_t steps);

} // namespace ron::oap::test
