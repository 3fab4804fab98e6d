#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/live.hpp"
#include "mailbox/change.hpp"
#include "mailbox/timeline.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ron::mailbox {

using std::chrono::milliseconds;

/// Bounds and times of one partition. A node splits its budget over its partitions.
struct partition_limits {
  std::size_t messages_max = 131'072;      ///< waiting, in flight and dead together
  std::uint64_t bytes_max = 32u << 20;     ///< payloads, keys and attributes of all messages
  std::size_t topics_max = 8'192;          ///< topics that hold a message
  std::size_t dedup_max = 12'500;          ///< remembered idempotency keys
  std::size_t dedup_caller_max = 10'000;   ///< of one caller
  core::knob<std::uint32_t> attempts_max = 5; ///< deliveries before a message is dead
  core::knob<milliseconds> dedup_window = milliseconds{300'000};
  milliseconds backoff_min{200};           ///< after a nack
  milliseconds backoff_max{60'000};
  milliseconds dead_keep{14ll * 86'400'000}; ///< a dead letter is forgotten then
  std::size_t sweep_max = 1'024;           ///< things a call forgets or takes back by the way
};

/// Where a sender sends to, and under which idempotency key.
struct sending {
  std::string topic;
  std::string caller;                           ///< whose idempotency key it is
  std::string idempotency_key;                  ///< empty = none
};

/// A message that a sender hands over.
struct outgoing_message {
  core::bytes payload;
  std::string key;                              ///< empty = no order
  std::map<std::string, std::string> attrs;
  std::optional<milliseconds> ttl;              ///< none = kept until acknowledged
  milliseconds delay{0};
  std::array<std::uint8_t, 32> body_hash{};     ///< tells a replay from a different body
};

/// One message to be sent.
struct outgoing : sending, outgoing_message {};

/// Messages that are sent together, in this order: all of them or none.
struct outgoing_batch : sending {
  std::vector<outgoing_message> messages; ///< at least one
};

/// The answer to a send.
struct sent {
  mailbox::message_id message_id;
  bool duplicate = false;
};

/// The answer to a batch, in its order.
struct sent_batch {
  std::vector<sent> messages;
};

/// What became of a send inside the partition.
struct admission {
  /// Not 0: the answer holds only once `count` messages from this one on are confirmed.
  std::uint64_t unconfirmed = 0;
  std::size_t count = 0;
  /// Their topic, as long as they are not confirmed; null with nothing to confirm.
  const std::string* topic = nullptr;
  /// Not 0: it is a replay, of this message among others, which is not confirmed yet. Nothing was
  /// done and the answer does not hold: it is to be sent again when that is known.
  std::uint64_t behind = 0;
};
template <class Answer>
struct accepted : admission {
  Answer answer;
};

/// One delivery of one message.
struct delivery {
  mailbox::message_id message_id;
  core::bytes payload;
  std::map<std::string, std::string> attrs;
  std::string key;
  std::uint32_t attempt = 0;          ///< 1 on the first delivery
  std::int64_t received_at_ms = 0;    ///< wall clock when the message was accepted
  std::string receipt;                ///< names this delivery; dies with its visibility period
};

/// How much one call delivers or shows.
struct batch {
  std::size_t messages = 1;
  std::size_t payload_bytes = SIZE_MAX; ///< it ends with the message that reaches this
};

/// Asks to see messages without taking them.
struct reading {
  std::string after{};  ///< oldest first, those with a greater id; empty = by `before`
  std::string before{}; ///< newest first, those with a lower id; empty = from the newest on
  batch most{};
};

/// The head of a waiting message, for a peek.
struct headline {
  mailbox::message_id message_id;
  std::string key;
  std::uint32_t attempts = 0;
  std::uint64_t size = 0;
  std::int64_t received_at_ms = 0;
};

/// What became of a receipt.
enum class receipt_status : std::uint8_t { ok, gone, expired };
std::string_view to_string(receipt_status s) noexcept;

/// How a topic stands.
struct topic_stats {
  std::uint64_t waiting = 0;    ///< to be delivered now or later
  std::uint64_t in_flight = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes = 0;      ///< of all three, bookkeeping included
  std::int64_t oldest_ms = 0;   ///< wall clock when the oldest of all was accepted; 0 = none
};

/// What a partition holds now and has done since start.
struct partition_stats {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t topics = 0;
  std::uint64_t dead = 0;            ///< dead letters now
  std::uint64_t remembered = 0;      ///< idempotency keys
  std::uint64_t waiting = 0;         ///< asks that wait for a delivery
  std::uint64_t following = 0;       ///< asks that wait for something new to look at
  std::uint64_t readers = 0;         ///< subscriptions and event streams that are delivered to
  std::uint64_t held = 0;            ///< deliveries that these have not settled
  std::uint64_t damaged = 0;         ///< records found damaged on disk and put aside
  std::uint64_t stalled = 0;         ///< 1 while a call into the store does not come back
  std::uint64_t sent_total = 0;
  std::uint64_t duplicates_total = 0;
  std::uint64_t delivered_total = 0; ///< redeliveries included
  std::uint64_t redelivered_total = 0;
  std::uint64_t acked_total = 0;
  std::uint64_t nacked_total = 0;
  std::uint64_t returned_total = 0;  ///< deliveries whose reader left before it settled them
  std::uint64_t dead_total = 0;      ///< became dead letters
  std::uint64_t expired_total = 0;   ///< forgotten at the end of their time to live
  std::uint64_t dead_expired_total = 0; ///< dead letters forgotten
  std::uint64_t refused_total = 0;   ///< messages sent that found no room

  partition_stats& operator+=(const partition_stats& o) noexcept;
};

/// Where a partition gets from what it cannot make itself.
struct partition_sources {
  /// Uniform 64-bit numbers: receipts must not be guessable, back-off has jitter.
  std::function<std::uint64_t()> random;
  /// Message ids in ascending order, none of them from before `wall_ms`.
  std::function<message_id(std::int64_t wall_ms)> make_id;
  /// The first of so many numbers in a row, above all that messages of the store ever had.
  std::function<std::uint64_t(std::size_t)> next_seqs;
  /// Where a topic lies in the store. Null: there is no store. Then nothing is kept of changes,
  /// and a send is confirmed at once.
  std::function<bucket(std::string_view)> bucket_of;
};

/// The topics of one partition as a pure machine: at-least-once delivery with a visibility period,
/// order within a key (one message of a key in flight), delay, time to live, dead letters and
/// idempotent sends. One owner, no clock, no randomness of its own. Everything is held in RAM and
/// bounded by `partition_limits`; what does not fit is refused, nothing accepted is dropped but
/// dead letters that nobody wanted for `dead_keep`.
///
/// With a store behind it each step leaves `changes` for it. A message that was sent is not
/// delivered before its change is confirmed. After the loss of any other change the partition is
/// ahead of its store: `clear` it and `restore` what the store has.
class partition {
public:
  partition(partition_limits limits, partition_sources sources);

  /// Accepts a message; `m` is left as it is unless it is accepted. Errors: store_quota (507) when
  /// the budget is used up, conflict (409) when the idempotency key was used with another body,
  /// quota (429) when too many keys are remembered.
  core::result<accepted<sent>> send(outgoing&& m, core::instant now, std::int64_t wall_ms);
  /// Accepts all messages of a batch, or none. Each is remembered by the idempotency key and its
  /// place in the batch: a replay sends what is not remembered. Errors: the same, of any of them.
  core::result<accepted<sent_batch>> send(outgoing_batch&& b, core::instant now,
                                          std::int64_t wall_ms);
  /// What was accepted is kept: it may be delivered now.
  void confirm(const admission& a, core::instant now);
  /// What was accepted could not be kept: it was never sent.
  void cancel(const admission& a);

  /// Delivers messages of `topic`, oldest first, hidden from others for `visibility`.
  std::vector<delivery> receive(const std::string& topic, const batch& most,
                                milliseconds visibility, core::instant now);

  /// Ends deliveries for good; one status per receipt, in order.
  std::vector<receipt_status> ack(const std::string& topic,
                                  const std::vector<std::string>& receipts, core::instant now);
  /// Gives deliveries back; each message is visible again after its back-off (full jitter).
  std::vector<receipt_status> nack(const std::string& topic,
                                   const std::vector<std::string>& receipts, core::instant now);

  /// Takes back what was delivered to a reader that is gone: visible again at once. `receipts` are
  /// in the order of delivery. The first is what the reader was working on and counts as an
  /// attempt; the others were only in its line.
  void give_back(const std::string& topic, const std::vector<std::string>& receipts,
                 core::instant now);

  /// Messages that are neither dead nor acknowledged, with their payloads and without receipts;
  /// delayed ones and those in flight too, so that each reader sees each message once by going on
  /// after the last id it saw. Changes nothing but the clean-up of what expired.
  std::vector<delivery> read(const std::string& topic, const reading& q, core::instant now);
  /// The id after which `read` gives what is sent from now on.
  std::string newest_id(const std::string& topic) const;

  /// Heads of waiting messages, oldest first; changes nothing but the clean-up of what expired.
  std::vector<headline> peek(const std::string& topic, std::size_t limit, core::instant now);
  /// Dead letters, oldest first.
  std::vector<headline> dead_letters(const std::string& topic, std::size_t limit,
                                     core::instant now);
  /// Makes up to `max` dead letters of a topic deliverable again, oldest first; returns how many.
  std::size_t redrive(const std::string& topic, std::size_t max, core::instant now);
  topic_stats topic(const std::string& topic, core::instant now);
  /// Forgets up to `sweep_max` each of what is over in any topic. To be called every few seconds.
  void forget_expired(core::instant now);

  /// When the topic can deliver its next message without another send; none = never.
  std::optional<core::instant> next_delivery(const std::string& topic) const;

  /// True while there is something that the store has to keep.
  bool changed() const noexcept { return !changes_.empty(); }
  /// What that is, since the last call, in order.
  /// They are to be written before anything of them is confirmed or cancelled.
  std::vector<change> take_changes() { return std::exchange(changes_, {}); }
  /// The same, behind what `to` has.
  void move_changes(std::vector<change>& to);
  /// Forgets everything but totals and changes. Only with nothing unconfirmed.
  void clear();
  /// Takes back what a store kept, within `limits` or not.
  void restore(stored_mail m);
  void restore(bucket in, stored_send s);

  std::size_t messages() const noexcept { return messages_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::size_t topics() const noexcept { return topics_.size(); }
  std::size_t remembered() const noexcept { return sends_.size(); }
  partition_stats stats() const noexcept;
  const partition_limits& limits() const noexcept { return limits_; }

private:
  struct message : mail_body, mail_state {};
  struct topic_state {
    bucket in = 0;
    std::uint64_t bytes = 0;
    std::map<std::uint64_t, message> messages;                        ///< by sequence number
    timeline queued;                                                  ///< by visible-from
    timeline in_flight;                                               ///< by end of delivery
    std::set<std::uint64_t> dead;
    std::unordered_map<std::string, std::deque<std::uint64_t>> keys;  ///< front may be delivered
  };
  struct send_record : remembered_send {
    bucket in = 0;
    std::uint64_t unconfirmed = 0;
  };
  struct slot_hash {
    std::size_t operator()(const send_slot& s) const noexcept;
  };
  using topic_map = std::unordered_map<std::string, topic_state>;
  using send_map = std::unordered_map<send_slot, send_record, slot_hash>;

  bool stored() const noexcept { return bool{sources_.bucket_of}; }
  core::result<admission> send(const sending& from, std::span<outgoing_message> messages,
                               std::span<sent> answers, core::instant now, std::int64_t wall_ms);
  core::result<std::uint64_t> find_replays(const sending& from,
                                           std::span<const outgoing_message> messages,
                                           std::span<sent> answers);
  core::result<void> check_room(const sending& from, std::size_t messages, std::uint64_t bytes);
  const message& accept(topic_map::value_type& topic, std::uint64_t seq, outgoing_message& m,
                        core::instant now, std::int64_t wall_ms);
  void remember(const std::string& caller, const send_slot& slot,
                const std::array<std::uint8_t, 32>& body_hash, const message& what, bucket in,
                std::uint64_t seq, core::instant now);
  void forget(send_map::iterator i);
  void forget_sends(core::instant now);
  void expire(core::instant now);
  void sweep(topic_map::value_type& topic, core::instant now);
  topic_map::value_type& topic_of(const std::string& name);
  message& add(topic_map::value_type& topic, std::uint64_t seq);
  void enter(topic_map::value_type& topic, std::uint64_t seq, message& m);
  bool join_line(topic_state& t, const message& m, std::uint64_t seq);
  void queue(topic_state& t, std::uint64_t seq, core::instant visible_from, core::instant now);
  void bury(topic_map::value_type& topic, std::uint64_t seq, core::instant now);
  void set_expiry(topic_map::value_type& topic, std::uint64_t seq,
                  std::optional<core::instant> expires);
  void erase(topic_state& t, std::uint64_t seq);
  void remove(topic_state& t, std::uint64_t seq);
  void release_key(topic_state& t, const message& m, std::uint64_t seq);
  void drop_if_empty(topic_map::iterator i);
  void note_state(const topic_state& t, std::uint64_t seq, const message& m);
  template <class F>
  std::vector<receipt_status> settle(const std::string& topic,
                                     const std::vector<std::string>& receipts, core::instant now,
                                     F&& each);
  static std::uint64_t size_of(const message& m) noexcept;
  static std::uint64_t size_of_parts(const core::bytes& payload, const std::string& key,
                                     const std::map<std::string, std::string>& attrs) noexcept;
  static headline head_of(const message& m);
  static delivery delivery_of(const message& m);
  static std::map<std::uint64_t, message>::const_iterator first_after(const topic_state& t,
                                                                      const std::string& id);

  partition_limits limits_;
  partition_sources sources_;
  topic_map topics_;
  /// Whose life ends when; at most one entry per message.
  std::map<std::pair<core::instant, std::uint64_t>, topic_map::value_type*> expiring_;
  std::size_t messages_ = 0;
  std::uint64_t bytes_ = 0;
  std::size_t dead_ = 0;
  std::int64_t newest_ms_ = 0; ///< of the ids that a store gave back
  partition_stats totals_;
  send_map sends_;
  std::set<std::pair<core::instant, send_slot>> sends_expiring_;
  std::unordered_map<std::string, std::size_t> sends_of_caller_;
  std::map<std::uint64_t, send_slot> unconfirmed_sends_; ///< by sequence number
  std::vector<send_slot> slots_;                         ///< of the messages that are being sent
  std::vector<change> changes_;
};

} // namespace ron::mailbox
