#pragma once

#include "mailbox/mailbox.hpp"

#include <utility>

/// How a replica keeps its partitions and their journal together. Without a journal all of it is
/// nothing.
namespace ron::mailbox {

/// Reads all partitions of this replica from the journal. Calls `pump_all` whenever one is there.
void begin_loading(mailbox_self self);
/// Reads partition `at`: everything written before is told of first, then it is emptied.
void reload(mailbox_self self, std::size_t at);
/// Empties partition `at` and reads it; nothing of it may be on its way to the journal.
void retry_load(mailbox_self self, std::size_t at);

/// Writes what partition `at` has left to be kept; nobody waits for it.
void keep(mailbox_self self, std::size_t at);
/// The same; `then` runs as the actor when it is known. A failure makes the partition `broken` and
/// has it read anew.
void keep(mailbox_self self, std::size_t at, kept then);
/// Writes what partition `at` has accepted of a send; answers it and lets its replays go on.
void write_send(mailbox_self self, std::size_t at, accepted<sent> a, core::answer_to<sent> to);
void write_send(mailbox_self self, std::size_t at, accepted<sent_batch> a,
                core::answer_to<sent_batch> to);

/// Delivers `value` once everything it may depend on is kept.
template <class T>
void answer_when_kept(mailbox_self self, std::size_t at, caf::typed_response_promise<T> promise,
                      T value) {
  keep(self, at, [promise, value = std::move(value)](core::result<void> r) mutable {
    if (r)
      promise.deliver(std::move(value));
    else
      promise.deliver(core::to_caf(r.error()));
  });
}

} // namespace ron::mailbox
