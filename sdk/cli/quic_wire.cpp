#include "quic_wire.hpp"

#include "core/limits.hpp"
#include "oap/reject.hpp"
#include "ron/client.hpp"
#include "transport/quic/client.hpp"

#include <utility>

namespace ron::cli {

namespace quic = transport::quic;
using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

constexpr std::size_t unsent_max = 256u << 10; ///< `send` waits while more is not on the wire

class quic_wire final : public sdk::wire {
public:
  explicit quic_wire(std::unique_ptr<quic::client> c) : client_(std::move(c)) {
    // nop
  }
  result<void> send(std::vector<core::bytes>& slices, instant deadline) override;
  result<sdk::arrival> receive(instant deadline) override;
  bool independent_streams() const noexcept override { return true; }
  bool has_alpn() const noexcept override { return true; }
  std::string description() const override;

private:
  std::unique_ptr<quic::client> client_;
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
  return "QUIC " + info.version + ' ' + info.cipher + ' ' + info.group;
}

} // namespace

result<std::unique_ptr<sdk::wire>> dial_quic(const sdk::client_options& options, instant deadline) {
  auto context = sdk::client_context(options);
  if (!context)
    return std::unexpected{context.error()};
  auto made = quic::client::dial({}, *context, options.host, options.port,
                                 core::limits::oap_frame_bytes_default, deadline);
  if (!made)
    return std::unexpected{made.error()};
  return std::make_unique<quic_wire>(std::move(*made));
}

} // namespace ron::cli
