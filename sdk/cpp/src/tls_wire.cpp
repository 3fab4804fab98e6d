#include "tls_wire.hpp"

#include "core/crypto/tls_session.hpp"
#include "dial.hpp"
#include "ron/client.hpp"
#include "socket_wire.hpp"

#include <optional>
#include <utility>

namespace ron::sdk {

using core::crypto::tls_session;
using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

/// What OpenSSL says of bytes that are no TLS helps nobody who only has the port wrong.
std::unexpected<core::error> no_handshake(const client_options& o, const core::error& why) {
  if (why.code != ec::bad_request)
    return std::unexpected{why};
  return fail(ec::degraded, where(o) + " does not speak OAP/1 over TLS 1.3 (" + why.message + ")");
}

class tls_wire final : public socket_wire {
public:
  explicit tls_wire(int fd) : socket_wire(fd) {}
  ~tls_wire() override;

  result<void> handshake(const client_options& options, instant deadline);
  result<void> send(std::vector<core::bytes>& slices, instant deadline) override;
  result<arrival> receive(instant deadline) override;
  bool has_alpn() const noexcept override { return true; }
  std::string description() const override;

private:
  result<void> flush(instant deadline);

  std::optional<tls_session> tls_;
  std::vector<core::bytes> cipher_;
  std::vector<core::bytes> early_; ///< came with the end of the handshake
};

tls_wire::~tls_wire() {
  if (!tls_ || !tls_->is_open())
    return;
  tls_->shutdown(); // one attempt to say goodbye; nobody waits for it
  cipher_.clear();
  tls_->take_output(cipher_);
  write_some(cipher_);
}

result<void> tls_wire::handshake(const client_options& options, instant deadline) {
  auto context = client_context(options);
  if (!context)
    return std::unexpected{context.error()};
  auto tls = tls_session::connect(*context, options.host);
  if (!tls)
    return std::unexpected{tls.error()};
  tls_.emplace(std::move(*tls));
  while (!tls_->is_open()) {
    if (auto ok = flush(deadline); !ok)
      return ok;
    auto got = receive(deadline);
    if (!got)
      return no_handshake(options, got.error());
    early_.insert(early_.end(), got->slices.begin(), got->slices.end());
  }
  if (auto ok = flush(deadline); !ok)
    return ok;
  if (tls_->alpn() != "oap/1")
    return fail(ec::degraded, where(options) + " does not speak OAP/1 (no ALPN oap/1)");
  return {};
}

result<void> tls_wire::send(std::vector<core::bytes>& slices, instant deadline) {
  auto ok = tls_->write(slices);
  slices.clear();
  return ok ? flush(deadline) : ok;
}

result<void> tls_wire::flush(instant deadline) {
  cipher_.clear();
  tls_->take_output(cipher_);
  return write_all(cipher_, deadline);
}

result<arrival> tls_wire::receive(instant deadline) {
  if (tls_->is_open() && !early_.empty())
    return arrival{.slices = std::exchange(early_, {})};
  if (auto ok = flush(deadline); !ok) // answers of TLS itself
    return std::unexpected{ok.error()};
  const auto in = read_some(deadline);
  if (!in)
    return std::unexpected{in.error()};
  arrival out;
  if (in->empty()) {
    if (!tls_->is_open())
      return fail(ec::degraded, "the node closed the connection during the TLS handshake");
    out.ended = true;
    out.clean = tls_->peer_closed();
    return out;
  }
  auto rest = *in;
  bool more = true;
  while (more) {
    core::slab room{tls_session::room_for(rest.size())};
    auto p = tls_->feed(rest, room.room());
    if (!p) {
      (void)flush(deadline); // an alert for the peer; its loss changes nothing
      return std::unexpected{p.error()};
    }
    rest = rest.subspan(p->consumed);
    room.commit(p->produced);
    more = !rest.empty() || p->produced == room.capacity();
    if (p->produced > 0)
      out.slices.push_back(room.cut(0, p->produced));
  }
  return out;
}

std::string tls_wire::description() const {
  const auto info = tls_->info();
  return info.version + ' ' + info.cipher + ' ' + info.group;
}

} // namespace

result<core::crypto::tls_context> client_context(const client_options& options) {
  core::crypto::tls_client_options o;
  o.pin = options.pin;
  o.ca_file = options.ca_file;
  o.alpn = {"oap/1"};
  o.pq = options.pq;
  if (!options.cert_file.empty()) {
    auto id = core::crypto::identity::load(options.cert_file, options.key_file);
    if (!id)
      return std::unexpected{id.error()};
    o.certificate = std::move(*id);
  }
  return core::crypto::tls_context::make_client(o);
}

result<std::unique_ptr<wire>> dial_tls(const client_options& options, instant deadline) {
  auto fd = dial_tcp(options, deadline);
  if (!fd)
    return std::unexpected{fd.error()};
  auto made = std::make_unique<tls_wire>(*fd);
  if (auto ok = made->handshake(options, deadline); !ok)
    return std::unexpected{ok.error()};
  return made;
}

} // namespace ron::sdk
