#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

/// Durable mail on our side and on redis's: the same words for both, so that a case is one loop.
namespace ron::bench {

/// What both sides are asked for.
struct mail_load {
  std::size_t payload = 256;   ///< bytes of a message
  std::size_t in_flight = 32;  ///< requests of a connection that wait for their answers
};

/// One connection; its calls return when everything they asked for is answered. Throws
/// `std::runtime_error` when something is refused. One thread.
class mail_line {
public:
  virtual ~mail_line() = default;
  /// Sends durable messages, `in_flight` at a time, until `over()`; returns how many were
  /// acknowledged.
  virtual std::uint64_t send_until(const std::function<bool()>& over) = 0;
  /// Sends `in_flight` messages by one request, ours, or as many written at once, theirs, and waits
  /// until all are acknowledged; over and over.
  virtual std::uint64_t send_batches_until(const std::function<bool()>& over) = 0;
  /// Sends `in_flight` messages, receives as many, acknowledges them; over and over. Returns how
  /// many messages went all the way.
  virtual std::uint64_t cycle_until(const std::function<bool()>& over) = 0;
  /// Takes away what was sent, so that the next turn begins as this one did. Not timed.
  virtual void clear() = 0;
};

using mail_line_ptr = std::unique_ptr<mail_line>;

struct ours_target {
  std::uint16_t port = 0;
  std::string pin;
  std::string token;
};
mail_line_ptr connect_ours(const ours_target& to, const mail_load& load, std::string topic);

struct redis_target {
  std::uint16_t port = 0;
  std::string pin; ///< TLS 1.3 with this certificate; empty = none
};
mail_line_ptr connect_redis(const redis_target& to, const mail_load& load, std::string stream);

} // namespace ron::bench
