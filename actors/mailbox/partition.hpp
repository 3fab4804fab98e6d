#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
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
  std::uint32_t attempts_max = 5;          ///< deliveries before a message is dead
  milliseconds visibility{5'000};          ///< default visibility period
  milliseconds dedup_window{300'000};
  milliseconds backoff_min{200};           ///< after a nack
  milliseconds backoff_max{60'000};
};

/// What a sender hands over.
struct outgoing {
  std::string topic;
  core::bytes payload;
  std::string key;                              ///< empty = no order
  std::map<std::string, std::string> attrs;
  std::optional<milliseconds> ttl;              ///< none = kept until acknowledged
  milliseconds delay{0};
  std::string caller;                           ///< whose idempotency key it is
  std::string idempotency_key;                  ///< empty = none
  std::array<std::uint8_t, 32> body_hash{};     ///< tells a replay from a different body
};

/// The answer to a send.
struct sent {
  std::string message_id;
  bool duplicate = false;
};

/// One delivery of one message.
struct delivery {
  std::string message_id;
  core::bytes payload;
  std::map<std::string, std::string> attrs;
  std::string key;
  std::uint32_t attempt = 0;          ///< 1 on the first delivery
  std::int64_t received_at_ms = 0;    ///< wall clock when the message was accepted
  std::string receipt;                ///< names this delivery; dies with its visibility period
};

/// The head of a waiting message, for a peek.
struct headline {
  std::string message_id;
  std::string key;
  std::uint32_t attempts = 0;
  std::uint64_t size = 0;
  std::int64_t received_at_ms = 0;
};

/// What became of a receipt.
enum class receipt_status : std::uint8_t { ok, gone, expired };
std::string_view to_string(receipt_status s) noexcept;

/// The topics of one partition as a pure machine: at-least-once delivery with a visibility period,
/// order within a key (one message of a key in flight), delay, time to live, dead letters and
/// idempotent sends. One owner, no clock, no randomness of its own. Everything is held in RAM and
/// bounded by `partition_limits`; what does not fit is refused, nothing accepted is dropped.
class partition {
public:
  /// `random` gives uniform 64-bit numbers (receipts must not be guessable, back-off has jitter);
  /// `make_id` gives message ids in ascending order.
  partition(partition_limits limits, std::function<std::uint64_t()> random,
            std::function<std::string()> make_id);

  /// Accepts a message. Errors: store_quota (507) when the budget is used up, conflict (409) when
  /// the idempotency key was used with another body, quota (429) when too many keys are remembered.
  core::result<sent> send(outgoing m, core::instant now, std::int64_t wall_ms);

  /// Delivers up to `max` messages of `topic`, oldest first, hidden from others for `visibility`.
  std::vector<delivery> receive(const std::string& topic, std::size_t max,
                                milliseconds visibility, core::instant now);

  /// Ends deliveries for good; one status per receipt, in order.
  std::vector<receipt_status> ack(const std::string& topic,
                                  const std::vector<std::string>& receipts, core::instant now);
  /// Gives deliveries back; each message is visible again after its back-off (full jitter).
  std::vector<receipt_status> nack(const std::string& topic,
                                   const std::vector<std::string>& receipts, core::instant now);

  /// Heads of waiting messages, oldest first; changes nothing but the clean-up of what expired.
  std::vector<headline> peek(const std::string& topic, std::size_t limit, core::instant now);
  /// Dead letters, oldest first.
  std::vector<headline> dead_letters(const std::string& topic, std::size_t limit) const;
  /// Makes all dead letters of a topic deliverable again; returns how many.
  std::size_t redrive(const std::string& topic, core::instant now);

  /// When the topic can deliver its next message without another send; none = never.
  std::optional<core::instant> next_delivery(const std::string& topic) const;

  std::size_t messages() const noexcept { return messages_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::size_t topics() const noexcept { return topics_.size(); }
  std::size_t remembered() const noexcept { return dedup_.size(); }
  std::uint64_t dead_total() const noexcept { return dead_total_; }
  const partition_limits& limits() const noexcept { return limits_; }

private:
  enum class place : std::uint8_t { queued, in_flight, dead };
  struct message {
    std::string id;
    core::bytes payload;
    std::string key;
    std::map<std::string, std::string> attrs;
    std::int64_t received_at_ms = 0;
    std::optional<core::instant> expires;
    core::instant when{};        ///< queued: visible from; in flight: delivery ends
    std::uint32_t attempts = 0;
    std::uint64_t nonce = 0;     ///< of the current delivery
    place at = place::queued;
  };
  using timeline = std::set<std::pair<core::instant, std::uint64_t>>;
  struct topic_state {
    std::map<std::uint64_t, message> messages;                        ///< by sequence number
    timeline queued;                                                  ///< by visible-from
    timeline in_flight;                                               ///< by end of delivery
    std::unordered_map<std::string, std::deque<std::uint64_t>> keys;  ///< front may be delivered
  };
  struct remembered_send {
    std::string caller;
    std::array<std::uint8_t, 32> body_hash;
    std::string message_id;
  };

  using topic_map = std::unordered_map<std::string, topic_state>;

  core::result<std::optional<sent>> replay_of(const outgoing& m, const std::string& slot) const;
  core::result<void> check_room(const outgoing& m, std::uint64_t size) const;
  void forget_sends(core::instant now);
  void expire(core::instant now);
  void sweep(topic_state& t, core::instant now);
  void queue(topic_state& t, std::uint64_t seq, core::instant visible_from, core::instant now);
  void bury(topic_state& t, std::uint64_t seq);
  void erase(topic_state& t, std::uint64_t seq);
  void release_key(topic_state& t, const message& m, std::uint64_t seq);
  void drop_if_empty(topic_map::iterator i);
  template <class F>
  std::vector<receipt_status> settle(const std::string& topic,
                                     const std::vector<std::string>& receipts, core::instant now,
                                     F&& each);
  static std::uint64_t size_of(const message& m) noexcept;

  partition_limits limits_;
  std::function<std::uint64_t()> random_;
  std::function<std::string()> make_id_;
  topic_map topics_;
  /// Whose life ends when; at most one entry per message.
  std::map<std::pair<core::instant, std::uint64_t>, topic_map::value_type*> expiring_;
  std::uint64_t next_seq_ = 1;
  std::size_t messages_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t dead_total_ = 0;
  std::unordered_map<std::string, remembered_send> dedup_;
  std::deque<std::pair<core::instant, std::string>> dedup_expiry_; ///< oldest first
  std::unordered_map<std::string, std::size_t> dedup_of_caller_;
};

} // namespace ron::mailbox
