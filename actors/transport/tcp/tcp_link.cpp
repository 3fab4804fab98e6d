#include "transport/tcp/tcp_link.hpp"

#include "transport/socket_link.hpp"

#include <utility>
#include <vector>

namespace ron::transport {

namespace {

class tcp_link final : public socket_link {
public:
  tcp_link(boost::asio::io_context& io, unique_fd fd, std::string peer, link_owner owner,
           first_word first)
    : socket_link(io, std::move(fd), std::move(peer), owner),
      waits_(first == first_word::peer) {
    // nop
  }

  void start() override {
    post([this] { owner().events().link_opened({.peer = peer()}); });
  }

private:
  void arrived(core::byte_view raw) override {
    if (std::exchange(waits_, false) && !held_.empty())
      send_raw(held_);
    deliver(core::bytes::copy(raw));
  }
  void ended() override { end_reading(true); }
  bool seal(std::vector<core::bytes>& slices) override {
    if (waits_)
      for (auto& slice : std::exchange(slices, {}))
        held_.push_back(std::move(slice));
    return true;
  }
  void seal_end(std::vector<core::bytes>& slices) override {
    waits_ = false;
    slices = std::exchange(held_, {});
  }

  bool waits_;                     ///< until the peer has spoken
  std::vector<core::bytes> held_;  ///< until then: a HELLO, and why not, if it comes to that
};

} // namespace

link_ptr make_tcp_link(boost::asio::io_context& io, unique_fd fd, std::string peer,
                       link_owner owner, first_word first) {
  return std::make_shared<tcp_link>(io, std::move(fd), std::move(peer), owner, first);
}

} // namespace ron::transport
