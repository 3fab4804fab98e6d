#include "transport/tcp/tcp_link.hpp"

#include "transport/socket_link.hpp"

namespace ron::transport {

namespace {

class tcp_link final : public socket_link {
public:
  tcp_link(boost::asio::io_context& io, unique_fd fd, std::string peer, link_owner owner)
    : socket_link(io, std::move(fd), std::move(peer), owner) {
    // nop
  }

  void start() override {
    post([this] { owner().events().link_opened({.peer = peer()}); });
  }

private:
  void arrived(core::byte_view raw) override { deliver(core::bytes::copy(raw)); }
  void ended() override { end_reading(true); }
  bool seal(std::vector<core::bytes>&) override { return true; }
  void seal_end(std::vector<core::bytes>&) override {}
};

} // namespace

link_ptr make_tcp_link(boost::asio::io_context& io, unique_fd fd, std::string peer,
                       link_owner owner) {
  return std::make_shared<tcp_link>(io, std::move(fd), std::move(peer), owner);
}

} // namespace ron::transport
