#pragma once

#include "core/actor/actor.hpp"
#include "core/actor/role_ref.hpp"
#include "mailbox/messages.hpp"
#include "mailbox/partition.hpp"
#include "mailbox/waiters.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ron::mailbox {

/// Bounds of the whole mailbox, split over its partitions.
struct mailbox_limits {
  std::size_t partitions = 8;          ///< 1..1024; topics are spread over them by name
  std::size_t messages_max = 1'048'576;
  std::uint64_t bytes_max = 256u << 20;
  std::size_t topics_max = 65'536;
  std::size_t dedup_max = 100'000;     ///< idempotency keys remembered
  std::size_t waiters_max = 4'096;     ///< long polls a shard
  std::uint32_t attempts_max = 5;
  milliseconds visibility{5'000};
  milliseconds dedup_window{300'000};
};

/// What the mailbox actors of all shards share. A partition is touched only by the replica of its
/// shard; it lives here so that a restarted replica finds the messages.
class mailbox_parts {
public:
  mailbox_parts(mailbox_limits limits, const core::clock& clock);

  std::size_t index_of(std::string_view topic) const noexcept;
  partition& at(std::size_t i) noexcept { return partitions_[i]; }
  std::size_t size() const noexcept { return partitions_.size(); }
  const mailbox_limits& limits() const noexcept { return limits_; }
  const core::clock& clock() const noexcept { return clock_; }

private:
  mailbox_limits limits_;
  const core::clock& clock_;
  std::vector<partition> partitions_;
};

/// A long poll that found nothing yet.
struct waiting_receive {
  receive what;
  caf::typed_response_promise<received> promise;
};

/// One replica of the mailbox role; there is one on every shard. Replica i of n holds partitions
/// i, i + n, ...; what belongs to another shard is passed on to its replica.
struct mailbox_state {
  static constexpr const char* name = "mailbox";
  std::shared_ptr<mailbox_parts> parts;
  std::shared_ptr<core::role_table> replicas;
  std::optional<waiter_list<waiting_receive>> waiters;
  core::instant tick_at{};    ///< when the timer that is set fires; epoch = none is set
};

/// The role's interface and the replica's own timer.
using mailbox_replica = mailbox_actor::extend<
  // INTERNAL: a delay, a visibility period or a caller's patience has ended.
  caf::reacts_to<atom::tick>>;

using mailbox_self = core::actor_self<mailbox_replica, mailbox_state>;

mailbox_replica::behavior_type make_mailbox(mailbox_self self,
                                            std::shared_ptr<mailbox_parts> parts,
                                            std::shared_ptr<core::role_table> replicas);

} // namespace ron::mailbox
