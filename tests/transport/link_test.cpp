#include "crypto/tls_pair.hpp"
#include "support/actor_fixture.hpp"
#include "transport/link_probe.hpp"
#include "transport/sockets.hpp"
#include "transport/tcp/tcp_link.hpp"
#include "transport/tls/tls_link.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <array>
#include <future>
#include <random>
#include <thread>

namespace {

using namespace ron;
using core::crypto::tls_context;
using core::crypto::tls_session;
using test::link_probe;
using test::tls_peer;

std::string noise(std::size_t n, std::mt19937::result_type seed) {
  std::mt19937 random{seed};
  std::string out(n, '\0');
  for (auto& c : out)
    c = static_cast<char>(random());
  return out;
}

/// What outlives the shards, whose links count to their last moment.
struct counts {
  bool counted(transport::handshake outcome) const {
    return test::eventually([&] { return metrics->handshakes.value(outcome) == 1; });
  }

  core::system_clock clock;
  core::metrics::registry registry;
  std::shared_ptr<transport::socket_metrics> metrics
    = std::make_shared<transport::socket_metrics>(registry);
};

/// One link on shard 0 and the test's own socket.
class Link : protected counts, public test::ShardFixture {
protected:
  Link() : ShardFixture(1) {}

  void start_tcp(link_probe::mode m, int buffer_bytes = 0,
                 transport::first_word first = transport::first_word::anybody) {
    auto [ours, theirs] = test::tcp_pair(buffer_bytes);
    fd = std::move(theirs);
    probe.emplace(*this, 0, m, [fd = ours.release(), first](core::shard& home, auto owner) {
      return transport::make_tcp_link(home.io(), transport::unique_fd{fd}, "peer:1", owner, first);
    });
  }

  void start_tls(link_probe::mode m, int buffer_bytes = 0) {
    auto [ours, theirs] = test::tcp_pair(buffer_bytes);
    auto server = tls_context::make_server(world.server_options()).value();
    auto client = tls_context::make_client(world.client_options()).value();
    peer.emplace(std::move(theirs), tls_session::connect(client, "localhost").value());
    auto make = [fd = ours.release(), server, this](core::shard& home, auto owner) {
      auto line = std::make_shared<transport::handshake_line>(home, 1, 1, metrics, clock);
      return transport::make_tls_link(home.io(), transport::unique_fd{fd}, "peer:1",
                                      tls_session::accept(server).value(), owner, line);
    };
    probe.emplace(*this, 0, m, make);
  }

  test::tls_world world;
  transport::unique_fd fd;
  std::optional<tls_peer> peer;
  std::optional<link_probe> probe;
};

TEST_F(Link, TcpEchoesRandomSizes) {
  start_tcp(link_probe::mode::echo);
  std::mt19937 random{1};
  for (int i = 0; i < 50; ++i) {
    auto text = noise(1 + random() % 200'000, random());
    std::thread writer{[&] { EXPECT_TRUE(test::send_all(fd.get(), text)); }};
    auto back = test::receive_exactly(fd.get(), text.size());
    writer.join();
    ASSERT_TRUE(back == text);
  }
}

TEST_F(Link, TlsEchoesRandomSizes) {
  start_tls(link_probe::mode::echo);
  ASSERT_TRUE(peer->shake_hands());
  std::mt19937 random{2};
  for (int i = 0; i < 50; ++i) {
    auto text = noise(1 + random() % 200'000, random());
    ASSERT_TRUE(peer->write(text)); // fits into the socket buffers and the link's one read
    auto back = peer->read_exactly(text.size());
    ASSERT_TRUE(back == text);
  }
}

TEST_F(Link, TlsTellsWhatWasAgreed) {
  start_tls(link_probe::mode::manual);
  ASSERT_TRUE(peer->shake_hands());
  ASSERT_TRUE(probe->until([](auto& r) { return r.opened; }));
  auto info = probe->record().info;
  EXPECT_EQ(info.peer, "peer:1");
  EXPECT_EQ(info.alpn, "oap/1");
  EXPECT_EQ(info.tls_version, "TLSv1.3");
  EXPECT_EQ(info.tls_group, "X25519");
}

TEST_F(Link, ReadsNothingUnasked) {
  start_tcp(link_probe::mode::manual, 8'192);
  // Nobody reads: the sender is stopped by the kernel's buffers.
  auto flags = ::fcntl(fd.get(), F_GETFL);
  ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
  auto chunk = noise(65'536, 3);
  std::size_t sent = 0;
  for (;;) {
    auto n = ::send(fd.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (n < 0)
      break;
    sent += static_cast<std::size_t>(n);
    ASSERT_LT(sent, 64u << 20);
  }
  EXPECT_EQ(probe->record().got.size(), 0u);
  // One read is answered once, with at most one buffer.
  probe->act([](auto& link) { link.read(); });
  ASSERT_TRUE(probe->until([](auto& r) { return r.reads == 1; }));
  EXPECT_LE(probe->record().got.size(), core::limits::read_buffer_bytes);
}

TEST_F(Link, TheFirstWordIsThePeersWhereThatIsAsked) {
  start_tcp(link_probe::mode::manual, 0, transport::first_word::peer);
  const auto say = [this](std::string_view text) {
    probe->act([text](auto& link) {
      std::vector<core::bytes> slices{core::bytes::copy(text)};
      link.write(slices);
      EXPECT_TRUE(slices.empty());
    });
  };
  say("hello ");
  say("again ");
  std::array<char, 64> room;
  EXPECT_EQ(::recv(fd.get(), room.data(), room.size(), MSG_DONTWAIT), -1);
  ASSERT_TRUE(test::send_all(fd.get(), "?"));
  probe->act([](auto& link) { link.read(); });
  ASSERT_TRUE(probe->until([](auto& r) { return r.got == "?"; }));
  say("and on");
  probe->act([](auto& link) { link.shutdown_write(); });
  EXPECT_EQ(test::receive_all(fd.get()), "hello again and on");
}

TEST_F(Link, ALastWordDoesNotWaitForTheFirst) {
  start_tcp(link_probe::mode::manual, 0, transport::first_word::peer);
  probe->act([](auto& link) {
    std::vector<core::bytes> slices{core::bytes::copy(std::string_view{"why not"})};
    link.write(slices);
    link.shutdown_write();
  });
  EXPECT_EQ(test::receive_all(fd.get()), "why not");
}

TEST_F(Link, HalfCloseLeavesTheOtherHalfOpen) {
  start_tcp(link_probe::mode::echo);
  ASSERT_TRUE(test::send_all(fd.get(), "question"));
  ::shutdown(fd.get(), SHUT_WR);
  EXPECT_EQ(test::receive_all(fd.get()), "question");
  ASSERT_TRUE(probe->until([](auto& r) { return r.read_end.has_value(); }));
  EXPECT_TRUE(*probe->record().read_end);
}

TEST_F(Link, TlsHalfClose) {
  start_tls(link_probe::mode::echo);
  ASSERT_TRUE(peer->shake_hands());
  ASSERT_TRUE(peer->write("question"));
  peer->close_notify();
  EXPECT_EQ(peer->read_all(), "question");
  EXPECT_TRUE(peer->session().peer_closed());
  ASSERT_TRUE(probe->until([](auto& r) { return r.read_end.has_value(); }));
  EXPECT_TRUE(*probe->record().read_end);
}

TEST_F(Link, TlsTakesWhatComesWithTheHandshake) {
  auto [ours, theirs] = test::tcp_pair();
  auto server = tls_context::make_server(world.server_options()).value();
  auto client = tls_context::make_client(world.client_options()).value();
  // The client's last flight, its question and its close_notify lie in the socket together.
  auto mine = tls_session::connect(client, "localhost").value();
  auto their = tls_session::accept(server).value();
  std::string ignored;
  std::optional<core::error> failed;
  ASSERT_TRUE(test::tls_pair::feed(their, test::drain(mine), ignored, failed, 1 << 17));
  ASSERT_TRUE(test::tls_pair::feed(mine, test::drain(their), ignored, failed, 1 << 17));
  ASSERT_TRUE(test::tls_pair::say(mine, "question"));
  mine.shutdown();
  ASSERT_TRUE(test::send_all(theirs.get(), test::drain(mine)));
  auto session = std::make_shared<tls_session>(std::move(their));
  probe.emplace(*this, 0, link_probe::mode::echo,
                [fd = ours.release(), session](core::shard& home, auto owner) {
                  return transport::make_tls_link(home.io(), transport::unique_fd{fd}, "peer:1",
                                                  std::move(*session), owner);
                });
  peer.emplace(std::move(theirs), std::move(mine));
  EXPECT_EQ(peer->read_all(), "question");
  ASSERT_TRUE(probe->until([](auto& r) { return r.read_end == true; }));
}

TEST_F(Link, TlsNoticesTruncation) {
  start_tls(link_probe::mode::echo);
  ASSERT_TRUE(peer->shake_hands());
  ASSERT_TRUE(peer->write("question"));
  EXPECT_EQ(peer->read_exactly(8), "question");
  peer->fin(); // without close_notify
  ASSERT_TRUE(probe->until([](auto& r) { return r.read_end.has_value(); }));
  EXPECT_FALSE(*probe->record().read_end);
}

TEST_F(Link, ReportsAResetOnce) {
  start_tcp(link_probe::mode::sink);
  ASSERT_TRUE(test::send_all(fd.get(), "x"));
  ASSERT_TRUE(probe->until([](auto& r) { return r.got == "x"; }));
  test::reset(std::move(fd));
  ASSERT_TRUE(probe->until([](auto& r) { return r.failed.has_value(); }));
  EXPECT_FALSE(probe->record().read_end);
}

TEST_F(Link, ReportsAFailedWriteLater) {
  start_tcp(link_probe::mode::manual);
  test::reset(std::move(fd));
  // The first write may still be taken by the kernel, a later one is not.
  for (int i = 0; i < 1'000 && !probe->record().failed; ++i)
    probe->act([](auto& link) {
      std::vector<core::bytes> out{core::bytes::copy("into the void")};
      link.write(out);
      EXPECT_TRUE(out.empty());
    });
  ASSERT_TRUE(probe->until([](auto& r) { return r.failed.has_value(); }));
}

TEST_F(Link, FailedHandshakeIsAFailureWithWords) {
  start_tls(link_probe::mode::manual);
  ASSERT_TRUE(test::send_all(peer->fd(), "GET / HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(probe->until([](auto& r) { return r.failed.has_value(); }));
  EXPECT_NE(probe->record().failed->message.find("TLS handshake"), std::string::npos);
  EXPECT_FALSE(probe->record().opened);
}

TEST_F(Link, EndDuringTheHandshakeIsAFailure) {
  start_tls(link_probe::mode::manual);
  peer->fin();
  ASSERT_TRUE(probe->until([](auto& r) { return r.failed.has_value(); }));
}

TEST_F(Link, BacklogTellsAboutASlowReader) {
  start_tls(link_probe::mode::manual, 16'384);
  ASSERT_TRUE(peer->shake_hands());
  ASSERT_TRUE(probe->until([](auto& r) { return r.opened; }));
  auto text = noise(1 << 20, 4);
  std::size_t backlog = 0;
  probe->act([&](auto& link) {
    std::vector<core::bytes> out{core::bytes::copy(text)};
    link.write(out);
    backlog = link.backlog();
  });
  EXPECT_GT(backlog, 500'000u);
  EXPECT_EQ(probe->record().written, 0u);
  EXPECT_TRUE(peer->read_exactly(text.size()) == text);
  ASSERT_TRUE(probe->until([](auto& r) { return r.written == 1; }));
  probe->act([&](auto& link) { backlog = link.backlog(); });
  EXPECT_EQ(backlog, 0u);
}

TEST_F(Link, ShutdownWaitsForTheBacklog) {
  start_tls(link_probe::mode::manual, 16'384);
  ASSERT_TRUE(peer->shake_hands());
  ASSERT_TRUE(probe->until([](auto& r) { return r.opened; }));
  auto text = noise(1 << 20, 5);
  probe->act([&](auto& link) {
    std::vector<core::bytes> out{core::bytes::copy(text)};
    link.write(out);
    link.shutdown_write();
    std::vector<core::bytes> late{core::bytes::copy("too late")};
    link.write(late);
    EXPECT_TRUE(late.empty());
  });
  EXPECT_TRUE(peer->read_all() == text);
  EXPECT_TRUE(peer->session().peer_closed());
}

TEST_F(Link, SaysNothingAfterClose) {
  start_tcp(link_probe::mode::manual);
  probe->act([](auto& link) {
    link.read();
    link.close();
    link.close();
  });
  EXPECT_EQ(test::receive_all(fd.get()), "");
  auto r = probe->record();
  EXPECT_FALSE(r.failed || r.read_end || r.reads);
}

TEST_F(Link, ActorThatEndsClosesItsLink) {
  start_tls(link_probe::mode::sink);
  ASSERT_TRUE(peer->shake_hands());
  probe->kill();
  EXPECT_LT(test::receive_all(peer->fd()).size(), 10'000u) << "tickets, then the end";
}

TEST_F(Link, HandshakesTakeTurnsWithWhatElseIsReady) {
  constexpr int other = -1;
  std::vector<int> order;
  std::promise<void> done;
  shards.at(0).submit([&] {
    auto line = std::make_shared<transport::handshake_line>(shards.at(0), 2, 1, metrics, clock);
    for (int i = 0; i < 7; ++i)
      line->enter([&, i] {
        order.push_back(i);
        if (i == 6)
          done.set_value();
      });
    EXPECT_EQ(order.size(), 2u);
    EXPECT_EQ(line->waiting(), 5u);
    EXPECT_EQ(metrics->handshakes_waiting.value(), 5);
    boost::asio::post(shards.at(0).io(), [&] { order.push_back(other); });
  });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, other, 4, 5, 6})) << "two, then whoever else is ready";
  EXPECT_EQ(metrics->handshakes_waiting.value(), 0);
  EXPECT_EQ(metrics->handshakes_deferred.value(), 5u);
}

TEST_F(Link, HandshakesAreCountedByTheirOutcome) {
  constexpr auto classic = transport::key_exchange::classic;
  start_tls(link_probe::mode::manual);
  ASSERT_TRUE(peer->shake_hands());
  EXPECT_TRUE(counted(transport::handshake::full));
  EXPECT_EQ(metrics->handshake_seconds.count(classic), 1u);

  start_tls(link_probe::mode::manual);
  ASSERT_TRUE(test::send_all(peer->fd(), "GET / HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(probe->until([](auto& r) { return r.failed.has_value(); }));
  probe->kill(); // a link is counted when its owner lets go of it
  EXPECT_TRUE(counted(transport::handshake::failed));

  start_tls(link_probe::mode::manual);
  probe->act([](auto& link) { link.close(); }); // what an owner does at its deadline
  probe->kill();
  EXPECT_TRUE(counted(transport::handshake::timeout));
  EXPECT_EQ(metrics->handshake_seconds.count(classic), 1u) << "those that came to an end";
}

TEST_F(Link, ContinuesAPartialFrameInTheSameBlock) {
  start_tls(link_probe::mode::manual);
  ASSERT_TRUE(peer->shake_hands());
  ASSERT_TRUE(probe->until([](auto& r) { return r.opened; }));
  probe->act([](auto& link) { link.read(0); });
  ASSERT_TRUE(peer->write("ab"));
  ASSERT_TRUE(probe->until([](auto& r) { return r.reads == 1; }));
  for (std::size_t i = 2; i < 5; ++i) {
    probe->act([](auto& link) { link.read(2); });
    ASSERT_TRUE(peer->write("cd"));
    ASSERT_TRUE(probe->until([&](auto& r) { return r.reads == i; }));
  }
  auto places = probe->record().places;
  ASSERT_EQ(places.size(), 4u);
  EXPECT_EQ(places[2], places[1] + 2);
  EXPECT_EQ(places[3], places[2] + 2);
}

// What the owner would hold if the stream were frames of that size.
struct frames_of {
  std::size_t size;
  std::size_t got = 0;
  void read(transport::link& link) const {
    const auto partial = got % size;
    link.read(partial, partial > 0 ? size - partial : 0);
  }
};

TEST_F(Link, NoFrameStraddlesTwoSlabs) {
  start_tls(link_probe::mode::manual);
  ASSERT_TRUE(peer->shake_hands());
  ASSERT_TRUE(probe->until([](auto& r) { return r.opened; }));
  constexpr std::size_t total = 8u << 20;
  frames_of frames{.size = 65'590};
  const auto text = noise(total, 6);
  std::jthread writer{[&] { EXPECT_TRUE(peer->write(text)); }};
  std::vector<std::size_t> ends; // how much had come with each slice
  while (frames.got < total) {
    probe->act([&](auto& link) { frames.read(link); });
    ASSERT_TRUE(probe->until([&](auto& r) { return r.got.size() > frames.got; }));
    frames.got = probe->record().got.size();
    ends.push_back(frames.got);
  }
  const auto r = probe->record();
  EXPECT_TRUE(r.got == text);
  std::size_t straddled = 0;
  std::size_t slabs = 1;
  for (std::size_t i = 1; i < ends.size(); ++i) {
    const auto size = ends[i - 1] - (i > 1 ? ends[i - 2] : 0);
    if (r.places[i] == r.places[i - 1] + size)
      continue;
    ++slabs;
    straddled += ends[i - 1] % frames.size != 0;
  }
  EXPECT_LE(straddled, 1u) << "the first read has a slab of its own size";
  EXPECT_GE(slabs, total / core::limits::bulk_slab_bytes);
}

} // namespace
