#pragma once

#include "core/actor/helper_pool.hpp"
#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/crypto/identity.hpp"
#include "core/crypto/ocsp.hpp"
#include "core/crypto/tickets.hpp"
#include "core/crypto/tls_context.hpp"
#include "core/error.hpp"
#include "core/metrics.hpp"
#include "node/staple_schedule.hpp"
#include "transport/metrics.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace ron::node {

/// Which listener a TLS context is for: they differ in what they speak (ALPN).
enum class tls_use : std::uint8_t { https, oap };
inline constexpr std::size_t tls_use_count = 2;

/// What the TLS listeners of the node show: certificate, OCSP staple, ticket keys, and the contexts
/// made of them, one per shard and use (OpenSSL's contexts are contended between threads). Replaced
/// as a whole by a reload; connections that are open keep what they were opened with.
class tls_keeper {
public:
  tls_keeper(std::size_t shards, core::metrics::registry& metrics, const core::clock& clock);

  /// Reads the files that `c` names and makes all contexts anew; a development certificate is kept.
  /// If anything is wrong everything stays as it was. Error: bad_request naming key, file and
  /// reason. Where client certificates are asked for, tickets given before are taken no more: who
  /// resumes shows no certificate. Reads files; not for a shard that has connections.
  core::result<void> load(const core::config::transport_section& c);

  /// The context for the next connection on a shard. Any thread.
  core::crypto::tls_context context(tls_use use, std::size_t shard) const;
  /// Any thread.
  core::crypto::identity_ptr identity() const;

  /// Replaces the ticket key when it is `transport.ticket-rotation` old, warns of a staple that
  /// became stale, has the next one fetched if `transport.ocsp-fetch` says so. To be called once a
  /// second. One thread.
  void tick();

private:
  struct material {
    core::crypto::identity_ptr identity;
    bool development = false;
    core::crypto::ocsp_staple_ptr staple;
    bool fetches = false; ///< the staple
    std::array<std::vector<core::crypto::tls_context>, tls_use_count> contexts;
    std::string client_ca;
    core::config::pq_mode pq = core::config::pq_mode::off;
    std::chrono::milliseconds rotation{};
  };
  using material_ptr = std::shared_ptr<const material>;

  material_ptr current() const;
  core::result<void> read_identity(const core::config::transport_section& c, material& m) const;
  core::result<void> read_staple(const core::config::transport_section& c, material& m);
  core::result<void> make_contexts(material& m) const;
  void show(const material& m);
  void fetch_staple(const material_ptr& of);
  void take_staple(const material_ptr& of, core::result<core::crypto::ocsp_staple_ptr> got);

  std::size_t shards_;
  const core::clock& clock_;
  transport::tls_metrics metrics_;
  core::crypto::ticket_keys_ptr tickets_ = std::make_shared<core::crypto::ticket_keys>();
  mutable std::mutex mutex_; ///< held for a copy of one pointer, once per connection
  material_ptr material_;
  core::instant rotated_at_;
  bool told_stale_ = false;
  staple_schedule schedule_;                 ///< under `mutex_`
  std::optional<core::helper_pool> fetcher_; ///< if wanted; last: ends before what it uses
};

using tls_keeper_ptr = std::shared_ptr<tls_keeper>;

} // namespace ron::node
