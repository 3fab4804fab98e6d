#pragma once

#include "core/actor/downstream.hpp"
#include "core/json_fwd.hpp"
#include "mailbox/messages.hpp"
#include "transport/exchange.hpp"

#include <cstdint>
#include <string>

/// Answers without end: a subscription takes messages of a topic, a follower only sees them.
namespace ron::mailbox {

/// What a subscription asks for.
struct subscription_options {
  std::string topic;
  milliseconds visibility{5'000};
  std::uint32_t held_max = 100;   ///< deliveries it may hold unsettled
  milliseconds heartbeat{15'000}; ///< how often it hears that there is nothing
};

/// What a follower asks for.
struct follow_options {
  std::string topic;
  std::string after;              ///< id of the last message it saw; empty = from now on
  milliseconds heartbeat{15'000};
};

/// Delivers messages as events until the caller leaves, the node drains or the mailbox fails. One
/// ask of the mailbox is out at a time, for no more than the wire has room for; what the caller has
/// not settled when it leaves is given back at once.
void subscribe(const core::downstream<mailbox_actor>& box, const transport::exchange_ptr& x,
               subscription_options o);
/// Shows messages as events, from a place on; takes none, so each of any number sees all of them.
void follow(const core::downstream<mailbox_actor>& box, const transport::exchange_ptr& x,
            follow_options o);

/// A number for a reader that nobody else has.
reader_id new_reader();
/// Makes the mailbox forget the reader when the caller of `x` goes away before its answer.
void leave_on_cancel(const core::downstream<mailbox_actor>& box, const transport::exchange_ptr& x,
                     std::string topic, reader_id reader);

/// A delivery with its receipt, or a message that is only shown.
core::json to_json(const delivery& d);
core::json shown_json(const delivery& d);

} // namespace ron::mailbox
