#include "quic_wire.hpp"

#include "core/limits.hpp"
#include "oap/reject.hpp"
#include "ron/client.hpp"
#include "transport/quic/client.hpp"

#include <mutex>
#include <tuple>
#include <utility>

namespace ron::cli {

namespace quic = transport::quic;
using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

constexpr std::size_t unsent_max = 256u << 10; ///< `send` waits while more is not on the wire

/// What one program remembers of the node it dialed last.
class memory {
public:
  struct start {
    core::crypto::tls_context context;
    quic::resumption from;
  };

  /// The TLS context for `o` and what can be resumed with it. Each ticket is given once: a second
  /// use would show an observer that both are the same client (RFC 8446, C.4).
  result<start> begin(const sdk::client_options& o) {
    const std::scoped_lock lock{mutex_};
    auto asked = key_of(o);
    if (!context_ || asked != key_) {
      auto made = sdk::client_context(o);
      if (!made)
        return std::unexpected{made.error()};
      context_ = std::move(*made);
      key_ = std::move(asked);
      kept_ = {};
    }
    return start{*context_, std::exchange(kept_, {})};
  }

  /// A connection that `begin` started with `context` has got these.
  void keep(const core::crypto::tls_context& context, quic::resumption got) {
    if (!got.ticket && got.token.empty())
      return;
    const std::scoped_lock lock{mutex_};
    if (!context_ || context_->native() != context.native())
      return; // of another node
    if (got.ticket) {
      kept_.ticket = std::move(got.ticket);
      kept_.params = std::move(got.params);
    }
    if (!got.token.empty())
      kept_.token = std::move(got.token);
  }

private:
  using key = std::tuple<std::string, std::uint16_t, std::string, std::string, std::string,
                         std::string, core::config::pq_mode>;
  static key key_of(const sdk::client_options& o) {
    return {o.host, o.port, o.pin, o.ca_file, o.cert_file, o.key_file, o.pq};
  }

  std::mutex mutex_;
  key key_{};
  std::optional<core::crypto::tls_context> context_;
  quic::resumption kept_;
};

class quic_wire final : public sdk::wire {
public:
  quic_wire(std::unique_ptr<quic::client> c, core::crypto::tls_context context,
            std::shared_ptr<memory> m)
      : client_(std::move(c)), context_(std::move(context)), memory_(std::move(m)) {
    // nop
  }
  result<void> send(std::vector<core::bytes>& slices, instant deadline) override;
  result<sdk::arrival> receive(instant deadline) override;
  bool independent_streams() const noexcept override { return true; }
  bool has_alpn() const noexcept override { return true; }
  bool is_early() const noexcept override { return client_->link().early(); }
  std::string description() const override;

private:
  std::unique_ptr<quic::client> client_;
  core::crypto::tls_context context_;
  std::shared_ptr<memory> memory_;
};

result<void> quic_wire::send(std::vector<core::bytes>& slices, instant deadline) {
  client_->lanes().write(slices);
  client_->flush();
  while (client_->is_open() && client_->link().unsent_bytes() > unsent_max)
    if (!client_->turn(deadline))
      return fail(ec::downstream_timeout, "no progress in time while sending");
  return {};
}

result<sdk::arrival> quic_wire::receive(instant deadline) {
  auto& lanes = client_->lanes();
  sdk::arrival out;
  while (true) {
    while (lanes.ready())
      out.slices.push_back(lanes.take());
    memory_->keep(context_, client_->link().take_resumption());
    if (lanes.breach() != oap::reason::none)
      return fail(ec::downstream_5xx, "the node breaks the rules of OAP/1 over QUIC: "
                                        + std::string{oap::to_string(lanes.breach())});
    const bool over = !client_->is_open();
    const auto& end = client_->link().ending();
    const bool said = over && end.by_peer && end.application;
    if (over && !said && out.slices.empty())
      return std::unexpected{client_->why_over()};
    out.ended = over || lanes.peer_done();
    out.clean = lanes.peer_done() || (said && end.code == 0);
    if (out.ended || !out.slices.empty())
      return out;
    if (!client_->turn(deadline))
      return fail(ec::downstream_timeout, "no progress in time while waiting for the node");
  }
}

std::string quic_wire::description() const {
  const auto info = client_->link().tls();
  return "QUIC " + info.version + ' ' + info.cipher + ' ' + info.group
         + (info.resumed ? " resumed" : "")
         + (client_->link().early_data() == quic::early_fate::accepted ? " early" : "");
}

} // namespace

sdk::dialer quic_dialer() {
  return [m = std::make_shared<memory>()](const sdk::client_options& options,
                                          instant deadline) -> result<std::unique_ptr<sdk::wire>> {
    auto start = m->begin(options);
    if (!start)
      return std::unexpected{start.error()};
    quic::connection_settings settings;
    settings.early_data = options.early_data;
    auto made = quic::client::dial(settings, start->context, options.host, options.port,
                                   core::limits::oap_frame_bytes_default, deadline, start->from);
    if (!made)
      return std::unexpected{made.error()};
    return std::make_unique<quic_wire>(std::move(*made), start->context, m);
  };
}

} // namespace ron::cli
