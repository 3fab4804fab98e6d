#pragma once

#include "mailbox/mailbox.hpp"

/// How a replica serves those who receive, read and follow, now or when there is something.
namespace ron::mailbox {

/// Delivers from partition `at`, now or until the caller's patience ends.
void serve(mailbox_self self, std::size_t at, receive& r, core::answer_to<received> to);
/// Shows messages of partition `at`, now or until the caller's patience ends.
caf::result<browsed> serve(mailbox_self self, std::size_t at, browse& b);
/// A reader is gone; its topic may be on another shard.
void on_leave(mailbox_self self, leave& l);

/// Gives back to partition `at` what its readers that left hold; nothing while it loads.
void give_back(mailbox_self self, std::size_t at);

/// Something changed in `topic` alone: delivers to those who wait for it.
void pump(mailbox_self self, const std::string& topic);
/// The same for all topics; also ends the waits whose time is over.
void pump_all(mailbox_self self);
/// A message of `topic` is there for good: shows it to those who wait to see it.
void show_followers(mailbox_self self, const std::string& topic);

} // namespace ron::mailbox
