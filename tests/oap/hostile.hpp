#pragma once

#include <cstddef>
#include <cstdint>

namespace ron::oap::test {

/// Feeds a session with whatever `data` says a peer sent, cut into pieces, while an owner reacts
/// to its events and a link takes its output. The first two bytes choose role, settings and the
/// seed of cuts and reactions; the rest is the wire. Ends the process if the session breaks a
/// promise: unreadable output, memory above its bound, a second end, events after the end.
void drive_session(const std::uint8_t* data, std::size_t size);

} // namespace ron::oap::test
