#include "node/tls_keeper.hpp"

#include "core/crypto/ocsp_fetch.hpp"
#include "core/log.hpp"

#include <utility>

namespace ron::node {

namespace {

constexpr std::chrono::seconds fetch_patience{5}; // a stop of the node may have to wait for it

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
  fresh->pq = c.pq;
  if (auto ok = read_identity(c, *fresh); !ok)
    return ok;
  if (auto ok = read_staple(c, *fresh); !ok)
    return ok;
  if (auto ok = make_contexts(*fresh); !ok)
    return ok;
  const auto before = current();
  show(*fresh);
  if (before && (!fresh->client_ca.empty() || !before->client_ca.empty()))
    tickets_->forget();
  std::lock_guard lock{mutex_};
  material_ = std::move(fresh);
  told_stale_ = false;
  if (!material_->staple)
    schedule_.restart();
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

/// From the file, or what was fetched for the same certificate before.
core::result<void> tls_keeper::read_staple(const core::config::transport_section& c, material& m) {
  if (!c.ocsp.empty()) {
    auto staple = core::crypto::ocsp_staple::load(c.ocsp, *m.identity);
    if (!staple)
      return about("transport.ocsp", staple.error());
    m.staple = std::move(*staple);
  }
  m.fetches = c.ocsp_fetch;
  if (!m.fetches)
    return {};
  if (auto ok = core::crypto::ocsp_responder(*m.identity); !ok)
    return about("transport.ocsp-fetch", ok.error());
  if (!fetcher_)
    fetcher_.emplace("ron-ocsp", 1, 1);
  if (const auto before = current();
      before && before->fetches && before->identity->cert_sha256() == m.identity->cert_sha256())
    m.staple = before->staple;
  return {};
}

core::result<void> tls_keeper::make_contexts(material& m) const {
  core::crypto::tls_server_options o;
  o.certificate = m.identity;
  o.tickets = tickets_;
  o.pq = m.pq;
  o.client_ca = m.client_ca;
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

void tls_keeper::show(const material& m) {
  metrics_.pq_enabled.set(m.pq == core::config::pq_mode::off ? 0 : 1);
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
  if (m->fetches)
    fetch_staple(m);
  if (!m->staple || !m->staple->stale_at(clock_.wall_ms() / 1'000))
    return;
  std::lock_guard lock{mutex_};
  if (!std::exchange(told_stale_, true))
    core::log::warn("node",
                    m->fetches
                      ? "the OCSP response is stale and no longer stapled; no other could "
                        "be fetched"
                      : "the OCSP response is stale and no longer stapled; put a fresh one "
                        "in the file of transport.ocsp and reload",
                    {{"next_update_s", m->staple->next_update_s}});
}

/// Has a thread that may wait ask the authority, if it is time to.
void tls_keeper::fetch_staple(const material_ptr& of) {
  {
    std::lock_guard lock{mutex_};
    if (!schedule_.ask(clock_.now()))
      return;
  }
  const bool asked = fetcher_->submit(
    [this, of] { take_staple(of, core::crypto::fetch_staple(*of->identity, fetch_patience)); });
  if (asked)
    return;
  std::lock_guard lock{mutex_}; // it is busy with the question about another certificate
  schedule_.failed(clock_.now());
}

/// On the thread that asked: contexts are made here, not on a shard.
void tls_keeper::take_staple(const material_ptr& of,
                             core::result<core::crypto::ocsp_staple_ptr> got) {
  auto fresh = std::make_shared<material>(*of);
  core::result<void> ok;
  if (got) {
    fresh->staple = std::move(*got);
    fresh->contexts = {};
    ok = make_contexts(*fresh);
  } else {
    ok = std::unexpected{got.error()};
  }
  metrics_.ocsp_fetches.add(ok ? transport::ocsp_fetch::fetched : transport::ocsp_fetch::failed);
  std::lock_guard lock{mutex_};
  if (material_ != of)
    return schedule_.restart(); // reloaded meanwhile: perhaps another certificate
  if (!ok) {
    schedule_.failed(clock_.now());
    core::log::warn("node", "no OCSP response could be fetched; asking again later",
                    {{"why", ok.error().message}});
    return;
  }
  schedule_.fetched(clock_.now(), clock_.wall_ms() / 1'000, fresh->staple->next_update_s);
  core::log::info("node", "fetched an OCSP response",
                  {{"next_update_s", fresh->staple->next_update_s}});
  metrics_.ocsp_next_update.set(static_cast<double>(fresh->staple->next_update_s));
  material_ = std::move(fresh);
  told_stale_ = false;
}

} // namespace ron::node
