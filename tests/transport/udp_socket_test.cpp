#include "transport/quic/udp_socket.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <string>

namespace ron::test {
namespace {

namespace quic = transport::quic;

/// Two sockets of this machine; `a` knows where `b` is.
struct socket_pair {
  explicit socket_pair(const std::string& host) {
    auto bound = quic::bind_udp({host, 0}, 1, 1u << 20);
    EXPECT_TRUE(bound) << bound.error().message;
    b.emplace(std::move(bound->fds.front()));
    auto dialing = quic::open_udp(b->local(), 1u << 20);
    EXPECT_TRUE(dialing) << dialing.error().message;
    a.emplace(std::move(*dialing));
  }
  /// The datagrams that `a` sends in one call, as `b` gets them, joined by commas.
  std::string carry(const std::string& bytes, std::size_t segment, std::uint8_t ecn,
                    std::size_t count) {
    const core::byte_view view{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
    EXPECT_EQ(a->send({a->local(), b->local(), ecn}, view, segment),
              quic::udp_socket::outcome::done);
    std::string out;
    while (count != 0) {
      pollfd p{b->fd(), POLLIN, 0};
      if (::poll(&p, 1, 10'000) != 1)
        return out + " and no more";
      b->receive([&](const quic::path& from, core::byte_view datagram) {
        out.append(reinterpret_cast<const char*>(datagram.data()), datagram.size());
        out += ',';
        marks.push_back(from.ecn);
        --count;
      });
    }
    return out;
  }

  std::optional<quic::udp_socket> a;
  std::optional<quic::udp_socket> b;
  std::vector<std::uint8_t> marks;
};

class UdpSocket : public testing::TestWithParam<const char*> {};

TEST_P(UdpSocket, WhatIsSentAtOnceArrivesInItsPieces) {
  socket_pair s{GetParam()};
  EXPECT_EQ(s.carry("aaabbbccd", 3, 0, 3), "aaa,bbb,ccd,");
  EXPECT_EQ(s.carry("aaabbbc", 3, 0, 3), "aaa,bbb,c,");
  EXPECT_EQ(s.carry("x", 1, 0, 1), "x,");
}

TEST_P(UdpSocket, EachDatagramKeepsItsMark) {
  socket_pair s{GetParam()};
  s.carry("aaabbb", 3, 2, 2);
  s.carry("c", 1, 0, 1);
  s.carry("d", 1, 3, 1);
  EXPECT_EQ(s.marks, (std::vector<std::uint8_t>{2, 2, 0, 3}));
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, UdpSocket, testing::Values("127.0.0.1", "::1"),
                         [](const auto& p) {
                           return std::string{p.param}[0] == ':' ? "v6" : "v4";
                         });

} // namespace
} // namespace ron::test
