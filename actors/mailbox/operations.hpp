#pragma once

#include "core/actor/downstream.hpp"
#include "core/live.hpp"
#include "mailbox/messages.hpp"
#include "transport/operation.hpp"

#include <vector>

namespace ron::mailbox {

/// Defaults the operations fill in.
struct operation_limits {
  core::knob<milliseconds> visibility = milliseconds{5'000};
};

/// What the mailbox role serves on either wire: send, receive with long poll, subscriptions, feeds,
/// ack, nack, peek, dead letters. Shapes and statuses are those of the HTTP surface, sections 4 and
/// 7.
std::vector<transport::operation> operations(core::downstream<mailbox_actor> mailbox,
                                             operation_limits limits);

} // namespace ron::mailbox
