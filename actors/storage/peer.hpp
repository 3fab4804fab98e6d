#pragma once

#include "core/config_types.hpp"
#include "core/live.hpp"
#include "storage/backend.hpp"
#include "storage/pacer.hpp"
#include "storage/proof.hpp"
#include "storage/replication.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace ron::storage {

/// Another node, and how to know it. Exactly one of `pin` and `ca_file` is set.
struct peer_options {
  core::config::host_port address;
  std::string pin;     ///< hex SHA-256 of its certificate
  std::string ca_file; ///< PEM roots
  /// A fresh binary capability for what a peer is asked for; any thread.
  std::function<std::string()> token;
  core::knob<std::uint64_t> object_bytes_max = 1ull << 30; ///< where a size is not known here
  /// One of so many copies that the peer says it has is asked for, a group of it: any of them, so
  /// that it cannot know which. 1 = each.
  std::uint32_t prove_every = 8;
};

/// Why a transfer failed: a closed set, the label of `replication_failures_total`.
enum class transfer_failure : std::uint8_t {
  none,
  unreachable,  ///< no connection, or it was lost
  unauthorized, ///< not the certificate, or not the root key, that it should be
  full,         ///< no room with the peer
  busy,         ///< the peer is overloaded or stops
  slow,         ///< slower than a transfer may be
  missing,      ///< the peer has not got the object
  damaged,      ///< the peer's bytes are not the object
  refused,      ///< the peer said no for another reason
  unproven,     ///< the peer says that it keeps the object, and cannot show it
  store,        ///< this node's own store
};
inline constexpr std::size_t transfer_failures = static_cast<std::size_t>(transfer_failure::store);

/// The label of a failure.
std::string_view to_string(transfer_failure f) noexcept;

/// A transfer that has ended.
struct transferred {
  transfer_outcome how = transfer_outcome::unreachable;
  transfer_failure failure = transfer_failure::none;
  std::uint64_t bytes = 0; ///< that went or came
  std::string why{};       ///< of a failure, for people
  std::uint32_t proofs = 0;   ///< copies that the peer was asked to show
  std::uint32_t unproven = 0; ///< that it could not show
};

/// Moves whole objects between a store and one other node over OAP/1, at a pace shared with other
/// peers. Blocks: for helper threads, one at a time. Keeps its connection from one transfer to the
/// next. Every call ends within a few seconds of `stop`.
class peer {
public:
  /// `p` outlives the peer.
  peer(peer_options options, pacer& p);
  ~peer();

  /// Whether the peer is there, is who it should be and takes our capability. `self`, here and
  /// below: the id of this node's store.
  transferred probe(const store_id& self);
  /// Has the peer keep an object of `db` for this node (`o.keep`, `o.replica`); it checks the
  /// bytes against the id. A peer that says it has them is now and then asked to show some
  /// (`o.get`); if it cannot, it gets them once more, or is left alone, see `proof_machine`.
  transferred send(backend& db, const store_id& self, const core::cid& c,
                   const std::stop_token& stop);
  /// Puts the peer's bytes in the place of damaged ones, after all of them hashed to the id.
  transferred fetch(backend& db, const store_id& self, const core::cid& c,
                    const std::stop_token& stop);
  /// Tells the peer that it need not keep an object for this node any longer (`o.release`).
  transferred release(const store_id& self, const core::cid& c);

  const peer_options& options() const noexcept { return options_; }
  /// The store that answered last; nothing before the first answer.
  const std::optional<store_id>& store() const noexcept { return store_; }

private:
  struct connection;
  core::result<connection*> open(const store_id& self);
  core::result<store_id> meet(connection& c, const store_id& self);
  transferred failed(const core::error& e, std::uint64_t bytes);
  transferred verified_copy(backend& db, const store_id& self, const object_info& o,
                            const std::stop_token& stop);
  transferred ask_proof(backend& db, const store_id& self, const object_info& o,
                        const std::stop_token& stop);
  transferred new_copy(backend& db, const store_id& self, const object_info& o,
                       const std::stop_token& stop);

  const peer_options options_;
  pacer& pace_;
  std::unique_ptr<connection> connection_;
  std::optional<store_id> store_;
  proof_machine proofs_;
};

} // namespace ron::storage
