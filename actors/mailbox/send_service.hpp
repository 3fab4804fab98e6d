#pragma once

#include "core/actor/downstream.hpp"
#include "mailbox/messages.hpp"
#include "transport/exchange.hpp"

namespace ron::mailbox {

/// Sends what the request brings: one message (`payload`, `key`, `attrs`, `ttl_s`, `delay_ms`), or
/// 1..100 of them as `messages`. Such a batch is accepted whole or refused whole; it is answered
/// once, when all of it is kept. Its idempotency key counts for each message with its place.
void serve_send(const core::downstream<mailbox_actor>& box, const transport::exchange_ptr& x);

} // namespace ron::mailbox
