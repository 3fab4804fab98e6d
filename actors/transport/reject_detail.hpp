#pragma once

#include "oap/hello.hpp"
#include "oap/reject_note.hpp"

#include <cstdint>
#include <string_view>

namespace ron::transport {

/// Where in its frame a reject has its cause, and which limit it broke. Names and numbers only,
/// nothing that the peer has sent.
struct reject_detail {
  std::string_view field;         ///< of the header, the block or the body; as OAP1.md names it
  std::uint32_t field_offset = 0; ///< bytes from the begin of the frame, without a capability
  std::uint64_t limit = 0;        ///< what was exceeded; 0 = no number was
  std::string_view knob;          ///< the key that moves the limit; `protocol`: nobody can
};

/// The detail of `why`, a protocol reject, on a connection where `agreed` holds. `hello` is false
/// as long as the peer's HELLO was not read. Pure.
reject_detail detail_of(oap::reason why, const oap::agreement& agreed, bool hello) noexcept;

} // namespace ron::transport
