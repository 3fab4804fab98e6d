#pragma once

#include "core/crypto/openssl.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace ron::core::crypto {

/// One key for session tickets (RFC 5077, section 4): its public name, a cipher and a MAC key.
struct ticket_key {
  std::array<std::uint8_t, 16> name{};
  std::array<std::uint8_t, 32> cipher{};
  std::array<std::uint8_t, 32> mac{};

  ticket_key() = default;
  ticket_key(const ticket_key&) = default;
  ticket_key& operator=(const ticket_key&) = default;
  ~ticket_key();
};

/// The ticket keys of a process, shared by the contexts of all shards, so that a client may resume
/// on another shard than the one that gave it the ticket. RAM only. New tickets are sealed with the
/// newest key; tickets of the two before it are still opened, so a ticket lives between one and
/// three rotations. Any thread.
class ticket_keys {
public:
  static constexpr std::size_t kept = 3;

  /// Starts with one random key.
  ticket_keys();

  /// Puts a fresh random key in front and wipes the oldest. Call once per `ticket-rotation`.
  void rotate();

  /// Wipes all keys and starts with a fresh one: no ticket given before is taken any more.
  void forget();

  /// The key that seals new tickets.
  ticket_key newest() const;
  /// The key with this name, if it is still kept.
  std::optional<ticket_key> find(byte_view name) const;

private:
  mutable std::mutex mutex_; // held for a copy of 80 bytes, once per handshake
  std::array<ticket_key, kept> keys_;
  std::size_t count_ = 0;
};

using ticket_keys_ptr = std::shared_ptr<ticket_keys>;

/// Makes a server context seal and open its tickets with `keys`, which must outlive it. Every
/// resumption gets a new ticket, so that a client can use each one once (RFC 8446, C.4).
void use_ticket_keys(ssl_ctx_st* ctx, ticket_keys* keys);

} // namespace ron::core::crypto
