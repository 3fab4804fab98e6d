#pragma once

#include "core/clock.hpp"
#include "core/store/check.hpp"

namespace ron::mailbox {

/// Checks a whole store of mail: every message, state and remembered send matches its checksum,
/// every state belongs to a message, no sequence number is above the counter. Counts "messages",
/// "states", "sends". Errors: those of `snapshot::open`.
core::result<void> verify_store(const std::string& path, const core::clock& clock,
                                core::store::check_log& log);

} // namespace ron::mailbox
