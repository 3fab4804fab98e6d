#include "load/echo_wire.hpp"

#include <utility>

namespace ron::load {

using core::crypto::tls_session;
namespace tor = transport::tor;

namespace {

class tls_wire final : public echo_wire {
public:
  explicit tls_wire(tls_session session) : session_(std::move(session)) {
    // nop
  }

  core::result<void> on_bytes(core::byte_view raw, std::vector<core::bytes>& plain) override {
    while (!raw.empty()) {
      core::slab slab{tls_session::room_for(raw.size())};
      auto p = session_.feed(raw, slab.room());
      if (!p)
        return std::unexpected{p.error()};
      raw = raw.subspan(p->consumed);
      slab.commit(p->produced);
      if (p->produced > 0)
        plain.push_back(slab.cut(0, p->produced));
    }
    return {};
  }
  core::result<void> write(std::vector<core::bytes>& plain) override {
    return session_.write(plain);
  }
  void take_output(std::vector<core::bytes>& raw) override { session_.take_output(raw); }
  bool is_open() const noexcept override { return session_.is_open(); }
  void shutdown() override { session_.shutdown(); }
  tls_session* tls() noexcept override { return &session_; }

private:
  tls_session session_;
};

class onion_wire final : public echo_wire {
public:
  explicit onion_wire(tor::socks5_dial dial) : dial_(std::move(dial)) {
    // nop
  }

  core::result<void> on_bytes(core::byte_view raw, std::vector<core::bytes>& plain) override {
    if (!dial_.is_open())
      raw = raw.subspan(dial_.on_bytes(raw));
    if (dial_.failure())
      return std::unexpected{tor::to_error(*dial_.failure())};
    if (!raw.empty())
      plain.push_back(core::bytes::copy(raw));
    return {};
  }
  core::result<void> write(std::vector<core::bytes>& plain) override {
    for (auto& slice : plain)
      out_.push_back(std::move(slice));
    return {};
  }
  void take_output(std::vector<core::bytes>& raw) override {
    if (const auto said = dial_.take_output(); !said.empty())
      raw.push_back(core::bytes::copy(said));
    for (auto& slice : out_)
      raw.push_back(std::move(slice));
    out_.clear();
  }
  bool is_open() const noexcept override { return dial_.is_open(); }
  void shutdown() override {
    // nop: the stream's end is that of the socket
  }

private:
  tor::socks5_dial dial_;
  std::vector<core::bytes> out_;
};

} // namespace

wire_maker tls_wires(const core::crypto::tls_context& context, const std::string& name) {
  return [&context, name](const std::optional<core::crypto::tls_ticket>& ticket)
           -> core::result<std::unique_ptr<echo_wire>> {
    auto session = tls_session::connect(context, name, ticket);
    if (!session)
      return std::unexpected{session.error()};
    return std::make_unique<tls_wire>(std::move(*session));
  };
}

wire_maker onion_wires(const tor::socks5_request& to) {
  return [to](const std::optional<core::crypto::tls_ticket>&)
           -> core::result<std::unique_ptr<echo_wire>> {
    auto dial = tor::socks5_dial::make(to);
    if (!dial)
      return std::unexpected{dial.error()};
    return std::make_unique<onion_wire>(std::move(*dial));
  };
}

} // namespace ron::load
