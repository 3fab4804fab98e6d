#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "mailbox/message_id.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace ron::mailbox {

/// A part of a store; all of a topic lies in one, and a partition holds every n-th.
using bucket = std::uint16_t;
inline constexpr std::size_t buckets = 1'024;

/// What an idempotent send is found by: BLAKE3 of caller, topic and Idempotency-Key.
using send_slot = std::array<std::uint8_t, 32>;

/// Where a message is. `unconfirmed`: accepted, but its change is not known to be kept yet.
enum class place : std::uint8_t { queued = 1, in_flight = 2, dead = 3, unconfirmed = 4 };

/// What changes in the life of a message.
struct mail_state {
  place at = place::queued;
  core::instant when{};                 ///< queued: visible from; in flight: delivery ends
  std::optional<core::instant> expires; ///< end of its time to live, or of a dead letter's keep
  std::uint32_t attempts = 0;
  std::uint64_t nonce = 0;              ///< of the current delivery
};

/// What does not.
struct mail_body {
  message_id id;
  core::bytes payload;
  std::string key;
  std::map<std::string, std::string> attrs;
  std::int64_t received_at_ms = 0;
};

/// What is remembered of an idempotent send.
struct remembered_send {
  std::string caller;
  std::array<std::uint8_t, 32> body_hash{};
  mailbox::message_id message_id;
  core::instant until{};
};

/// A message as a store gives it back.
struct stored_mail {
  std::string topic;
  std::uint64_t seq = 0;
  mail_body body;
  mail_state state;
};
struct stored_send {
  send_slot slot{};
  remembered_send what;
};

/// Steps of a partition that a store has to keep. Each says how one thing is now, as a whole: any
/// of them may be lost with its transaction and the rest still makes sense. What never changes is
/// not copied into a step: it stays where it is in the partition until the send that brought it is
/// confirmed or cancelled.
struct keep_mail {
  bucket in = 0;
  std::uint64_t seq = 0;
  std::string_view topic;
  const mail_body* body = nullptr;
  mail_state state;
};
struct keep_state {
  bucket in = 0;
  std::uint64_t seq = 0;
  mail_state state;
};
struct forget_mail {
  bucket in = 0;
  std::uint64_t seq = 0;
};
struct keep_send {
  bucket in = 0;
  send_slot slot{};
  const remembered_send* what = nullptr;
};
struct forget_send {
  bucket in = 0;
  send_slot slot{};
};
using change = std::variant<keep_mail, keep_state, forget_mail, keep_send, forget_send>;
static_assert(std::is_trivially_copyable_v<change>, "a row of them moves as a block of memory");

} // namespace ron::mailbox
