#pragma once

#include "core/actor/door.hpp"
#include "mailbox/partition.hpp"
#include "mailbox/readers.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <string>
#include <vector>

namespace ron::mailbox {

/// Asks for deliveries; waits for the first one until `wait_until`.
struct receive {
  std::string topic;
  batch most{};
  milliseconds visibility{5'000};
  core::instant wait_until{}; ///< in the past = answer at once
  reader_id reader = 0;       ///< who may `leave` while this waits; 0 = nobody
  std::uint32_t held_max = 0; ///< not 0: a reader that comes again, and what it may hold unsettled
};

/// Deliveries; empty when the wait was in vain.
struct received {
  std::vector<delivery> messages;
};

/// Asks to see messages without taking them; waits for the first one until `wait_until`.
struct browse {
  std::string topic;
  reading what{};
  bool from_now = false;      ///< only what is sent after this was asked
  core::instant wait_until{}; ///< in the past = answer at once
  reader_id reader = 0;       ///< who may `leave` while this waits; 0 = nobody
};
struct browsed {
  std::vector<delivery> messages; ///< without receipts
  std::string cursor;             ///< the id to go on after, or before; empty = there is no more
};

/// The reader is gone: it waits no more, and what it holds is given back.
struct leave {
  std::string topic;
  reader_id reader = 0;
};

/// Asks for heads of waiting or dead messages.
struct look {
  std::string topic;
  std::uint32_t limit = 100;
  bool dead = false;
};
struct headlines {
  std::vector<headline> items;
};

/// Ends deliveries (`ack`) or gives them back.
struct settle {
  std::string topic;
  std::vector<std::string> receipts;
  bool ack = true;
};
struct settled {
  std::vector<receipt_status> statuses; ///< in the order of the receipts
};

/// Makes dead letters deliverable again, oldest first.
struct redrive {
  std::string topic;
  std::uint32_t max = 1'000;
};
struct redriven {
  std::uint64_t messages = 0;
};

/// Asks how a topic stands.
struct look_at_topic {
  std::string topic;
};

/// The mailbox role on one shard; also the interface of the partition that holds a topic.
/// Errors of every handler: busy (a mailbox is full, or too much waits for the disk), degraded (the
/// partition is away or being read from disk). Of those that change something also what the store
/// says: store_quota, disk_full, degraded.
using mailbox_actor = caf::typed_actor<
  // Accepts a message. Errors: store_quota, conflict (idempotency key with another body), quota.
  caf::replies_to<outgoing>::with<sent>,
  // Accepts all messages of a batch, or none. Errors: the same.
  caf::replies_to<outgoing_batch>::with<sent_batch>,
  // Delivers messages, waiting for the first. Error: busy when too many wait or read already.
  caf::replies_to<receive>::with<received>,
  // Shows messages to any number of readers. Error: busy when too many wait already.
  caf::replies_to<browse>::with<browsed>,
  caf::reacts_to<leave>,
  // Heads of waiting or dead messages; changes nothing.
  caf::replies_to<look>::with<headlines>,
  // Acknowledges deliveries or gives them back.
  caf::replies_to<settle>::with<settled>,
  // Puts dead letters back into the topic.
  caf::replies_to<redrive>::with<redriven>,
  // How a topic stands; changes nothing.
  caf::replies_to<look_at_topic>::with<topic_stats>>;

/// What is asked as often as mail comes and goes is served in place, if its topic is here.
class mailbox_door : public core::door {
public:
  virtual bool holds(const std::string& topic) const = 0;
  template <class Request>
  bool takes(const Request& r) const {
    return holds(r.topic);
  }
  virtual void serve(outgoing& m, core::answer_to<sent> to) = 0;
  virtual void serve(outgoing_batch& b, core::answer_to<sent_batch> to) = 0;
  virtual void serve(receive& r, core::answer_to<received> to) = 0;
  virtual void serve(settle& s, core::answer_to<settled> to) = 0;
};

} // namespace ron::mailbox

template <>
struct ron::core::door_of<ron::mailbox::mailbox_actor> {
  using type = ron::mailbox::mailbox_door;
};

// Local to a process: between nodes the same is asked over OAP/1.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::outgoing)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::sent)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::outgoing_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::sent_batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::receive)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::received)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::browse)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::browsed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::leave)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::look)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::headlines)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::settle)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::settled)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::redrive)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::redriven)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::look_at_topic)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::mailbox::topic_stats)
