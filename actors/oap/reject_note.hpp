#pragma once

#include "oap/frame.hpp"
#include "oap/reject.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ron::oap {

/// What is to be said of one bad frame in a log; nothing of its contents.
struct reject_note {
  reason why = reason::none;
  corr_t corr = 0;          ///< of the stream; 0 = the connection, or not known
  std::uint64_t offset = 0; ///< where the frame begins, in bytes of the connection's input
  std::uint32_t length = 0; ///< what the frame says that its length is; 0 = not read
};

/// Notes kept between two `session::take_rejects`; of more, only the counters tell.
inline constexpr std::size_t reject_notes_max = 8;

using reject_notes = std::vector<reject_note>;

} // namespace ron::oap
