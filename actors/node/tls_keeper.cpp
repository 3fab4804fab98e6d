#include "node/tls_keeper.hpp"

#include "core/log.hpp"

#include <utility>

namespace ron::node {

namespace {

std::string_view alpn_of(tls_use use) noexcept {
  return use == tls_use::https ? "http/1.1" : "oap/1";
}

std::unexpected<core::error> about(const char* key, const core::error& why) {
  return core::fail(why.code, std::string{key} + ": " + why.message);
}

} // namespace

tls_keeper::tls_keeper(std::size_t shards, core::metrics::registry& metrics,
                       const core::clock& clock)
  : shards_(shards), clock_(clock), metrics_(metrics), rotated_at_(clock.now()) {
  // nop
}

core::result<void> tls_keeper::load(const core::config::transport_section& c) {
  auto fresh = std::make_shared<material>();
  fresh->rotation = c.ticket_rotation;
  fresh->client_ca = c.client_ca;
  if (auto ok = read_identity(c, *fresh); !ok)
    return ok;
  if (!c.ocsp.empty()) {
    auto staple = core::crypto::ocsp_staple::load(c.ocsp, *fresh->identity);
    if (!staple)
      return about("transport.ocsp", staple.error());
    fresh->staple = std::move(*staple);
  }
  if (auto ok = make_contexts(c, *fresh); !ok)
    return ok;
  const auto before = current();
  show(*fresh, c.pq);
  if (before && (!fresh->client_ca.empty() || !before->client_ca.empty()))
    tickets_->forget();
  std::lock_guard lock{mutex_};
  material_ = std::move(fresh);
  told_stale_ = false;
  return {};
}

core::result<void> tls_keeper::read_identity(const core::config::transport_section& c,
                                             material& m) const {
  m.development = c.cert.empty();
  if (const auto before = current(); m.development && before && before->development) {
    m.identity = before->identity; // clients have pinned it
    return {};
  }
  auto made = m.development ? core::crypto::identity::make_development()
                            : core::crypto::identity::load(c.cert, c.key);
  if (!made)
    return about("transport.cert", made.error());
  m.identity = std::move(*made);
  return {};
}

core::result<void> tls_keeper::make_contexts(const core::config::transport_section& c,
                                             material& m) const {
  core::crypto::tls_server_options o;
  o.certificate = m.identity;
  o.tickets = tickets_;
  o.pq = c.pq;
  o.client_ca = c.client_ca;
  o.staple = m.staple;
  for (std::size_t use = 0; use < tls_use_count; ++use) {
    o.alpn = {std::string{alpn_of(static_cast<tls_use>(use))}};
    for (std::size_t i = 0; i < shards_; ++i) {
      auto one = core::crypto::tls_context::make_server(o);
      if (!one)
        return about("transport", one.error());
      m.contexts[use].push_back(std::move(*one));
    }
  }
  return {};
}

void tls_keeper::show(const material& m, core::config::pq_mode pq) {
  metrics_.pq_enabled.set(pq == core::config::pq_mode::off ? 0 : 1);
  metrics_.cert_not_after.set(static_cast<double>(m.identity->not_after_s()));
  metrics_.ocsp_next_update.set(m.staple ? static_cast<double>(m.staple->next_update_s) : 0);
  if (const auto end = m.identity->not_after_s(); end != 0 && end <= clock_.wall_ms() / 1'000)
    core::log::warn("node", "the certificate has expired; clients that look will not connect",
                    {{"cert_sha256", m.identity->cert_sha256()}, {"not_after_s", end}});
}

core::crypto::tls_context tls_keeper::context(tls_use use, std::size_t shard) const {
  return current()->contexts[static_cast<std::size_t>(use)][shard];
}

core::crypto::identity_ptr tls_keeper::identity() const {
  return current()->identity;
}

tls_keeper::material_ptr tls_keeper::current() const {
  std::lock_guard lock{mutex_};
  return material_;
}

void tls_keeper::tick() {
  const auto now = clock_.now();
  const auto m = current();
  if (now - rotated_at_ >= m->rotation) {
    tickets_->rotate();
    metrics_.ticket_rotations.add();
    rotated_at_ = now;
  }
  if (!m->staple || !m->staple->stale_at(clock_.wall_ms() / 1'000))
    return;
  std::lock_guard lock{mutex_};
  if (!std::exchange(told_stale_, true))
    core::log::warn("node", "the OCSP response is stale and no longer stapled; put a fresh one in "
                            "the file of transport.ocsp and reload",
                    {{"next_update_s", m->staple->next_update_s}});
}

} // namespace ron::node
