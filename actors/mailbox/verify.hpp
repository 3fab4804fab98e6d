#pragma once

#include "core/clock.hpp"
#include "core/store/check.hpp"

namespace ron::mailbox {

/// Checks a whole store of mail: every message, state and remembered send matches its checksum,
/// every state belongs to a message, no sequence number is above the counter; no record of the log
/// is missing. What is in the log counts as if it were in the tables already. Counts "messages",
/// "states", "sends", "log records". Errors: those of `snapshot::open`.
core::result<void> verify_store(const std::string& path, const core::clock& clock,
                                core::store::check_log& log);

} // namespace ron::mailbox
