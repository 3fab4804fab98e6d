#pragma once

#include "core/actor/downstream.hpp"
#include "mailbox/messages.hpp"
#include "transport/exchange.hpp"

namespace ron::mailbox {

/// `mb.send`, `POST /v1/mailbox/{topic}`: sends one message (`payload`; `key`, `attrs`, `ttl_s`,
/// `delay_ms` if wanted), or 1..100 of them at once as a list `messages`; never both. The answer is
/// 202 with `message_id` and `duplicate`, or with a list `messages` of these in the order sent.
///
/// - A batch is accepted whole or refused whole: a bad argument (named, e.g. `messages[3].ttl_s`),
///   no room for all of it, or a conflict change nothing. If the disk fails none of it was sent. A
///   crash before the answer leaves each message there or not there, as a whole.
/// - It is answered once, when all of it is kept. Its order is that of the list, in the topic and
///   within each key.
/// - Its idempotency key is remembered for each message, by its place in the list and the hash of
///   its own fields: a replay gives the same ids and sends what is not remembered; a message that
///   differs, or a single send with the same key, is a conflict (409).
/// - It is one request to the rate limiter and as many messages to every count.
void serve_send(const core::downstream<mailbox_actor>& box, const transport::exchange_ptr& x);

} // namespace ron::mailbox
