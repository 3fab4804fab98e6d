// The edges of waiting for a socket without asking the kernel each time: whatever comes at the
// worst moment is seen. Without it these tests wait for 20 s and fail.
#include "support/actor_fixture.hpp"
#include "transport/link_probe.hpp"
#include "transport/sockets.hpp"
#include "transport/tcp/tcp_link.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <thread>

namespace {

using namespace ron;
using test::link_probe;

/// One link on shard 0 and the test's own socket.
class LinkSocket : public test::ShardFixture {
protected:
  LinkSocket() : ShardFixture(1) {}

  void start(std::pair<transport::unique_fd, transport::unique_fd> pair,
             link_probe::mode m = link_probe::mode::manual) {
    fd = std::move(pair.second);
    probe.emplace(*this, 0, m, [fd = pair.first.release()](core::shard& home, auto owner) {
      return transport::make_tcp_link(home.io(), transport::unique_fd{fd}, "peer:1", owner,
                                      transport::first_word::anybody);
    });
  }

  static void say(transport::link& link, std::string_view text) {
    std::vector<core::bytes> slices{core::bytes::copy(text)};
    link.write(slices);
  }
  void read() {
    probe->act([](auto& link) { link.read(); });
  }
  bool got(std::string_view text) {
    return probe->until([text](auto& r) { return r.got == text; });
  }
  /// A question and its answer: what lets the next wait do without the kernel.
  void question_and_answer() {
    read();
    ASSERT_TRUE(test::send_all(fd.get(), "?"));
    ASSERT_TRUE(got("?"));
    probe->act([](auto& link) { say(link, "!"); });
    ASSERT_EQ(test::receive_exactly(fd.get(), 1), "!");
  }

  transport::unique_fd fd;
  std::optional<link_probe> probe;
};

TEST_F(LinkSocket, BytesThatComeBetweenAReadAndAWait) {
  start(test::tcp_pair());
  question_and_answer();
  probe->act([this](auto& link) {
    ASSERT_TRUE(test::send_all(fd.get(), "next"));
    link.read();
  });
  EXPECT_TRUE(got("?next"));
}

TEST_F(LinkSocket, BytesThatCameWhileNobodyWaited) {
  start(test::tcp_pair());
  question_and_answer();
  ASSERT_TRUE(test::send_all(fd.get(), "next"));
  for (int i = 0; i < 3; ++i)
    probe->act([](auto&) {}); // the shard has slept and polled in between
  read();
  EXPECT_TRUE(got("?next"));
}

TEST_F(LinkSocket, MoreThanOneReadTakes) {
  start(test::tcp_pair());
  question_and_answer();
  const std::string much(2 * core::limits::read_buffer_bytes + 1, 'm');
  std::thread writer{[&] { EXPECT_TRUE(test::send_all(fd.get(), much)); }};
  for (std::size_t reads = 2; probe->record().got.size() < 1 + much.size(); ++reads) {
    probe->act([](auto& link) {
      say(link, ".");
      link.read();
    });
    ASSERT_TRUE(probe->until([reads](auto& r) { return r.reads == reads; }));
  }
  writer.join();
}

TEST_F(LinkSocket, AFinBehindTheLastBytes) {
  start(test::tcp_pair());
  question_and_answer();
  ASSERT_TRUE(test::send_all(fd.get(), "last"));
  ::shutdown(fd.get(), SHUT_WR);
  read();
  ASSERT_TRUE(got("?last"));
  EXPECT_FALSE(probe->record().read_end);
  probe->act([](auto& link) {
    say(link, "!");
    link.read();
  });
  ASSERT_TRUE(probe->until([](auto& r) { return r.read_end.has_value(); }));
  EXPECT_TRUE(*probe->record().read_end);
  EXPECT_EQ(test::receive_exactly(fd.get(), 1), "!") << "our half is still open";
}

TEST_F(LinkSocket, AResetBehindTheLastBytesThatNobodyAnswers) {
  start(test::tcp_pair());
  question_and_answer();
  ASSERT_TRUE(test::send_all(fd.get(), "last"));
  test::reset(std::move(fd));
  read();
  ASSERT_TRUE(probe->until([](auto& r) { return r.failed || r.got == "?last"; }));
  read();
  EXPECT_TRUE(probe->until([](auto& r) { return r.failed.has_value(); }));
  EXPECT_FALSE(probe->record().read_end);
}

TEST_F(LinkSocket, AResetWhileAWriteWaitsForRoom) {
  start(test::tcp_pair(8'192));
  question_and_answer();
  probe->act([](auto& link) {
    say(link, std::string(4u << 20, 'w'));
    EXPECT_GT(link.backlog(), 0u);
  });
  test::reset(std::move(fd));
  EXPECT_TRUE(probe->until([](auto& r) { return r.failed.has_value(); }));
  EXPECT_EQ(probe->record().written, 0u);
}

TEST_F(LinkSocket, AnEndWhileAWriteWaitsForRoom) {
  start(test::tcp_pair(8'192));
  question_and_answer();
  probe->act([](auto& link) {
    say(link, std::string(1u << 20, 'w'));
    EXPECT_GT(link.backlog(), 0u);
    link.read();
  });
  ::shutdown(fd.get(), SHUT_WR);
  ASSERT_TRUE(probe->until([](auto& r) { return r.read_end.has_value(); }));
  EXPECT_EQ(test::receive_exactly(fd.get(), 1u << 20).size(), 1u << 20);
  EXPECT_TRUE(probe->until([](auto& r) { return r.written == 1; }));
}

/// The kernel does not say there what is left behind a read.
TEST_F(LinkSocket, SocketsThatAreNotTcp) {
  std::array<int, 2> ends{-1, -1};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  test::prepare(ends[1]);
  start({transport::unique_fd{ends[0]}, transport::unique_fd{ends[1]}}, link_probe::mode::echo);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(test::send_all(fd.get(), "question"));
    ASSERT_EQ(test::receive_exactly(fd.get(), 8), "question");
  }
  ASSERT_TRUE(test::send_all(fd.get(), "last"));
  ::shutdown(fd.get(), SHUT_WR);
  EXPECT_EQ(test::receive_all(fd.get()), "last");
  EXPECT_TRUE(probe->until([](auto& r) { return r.read_end == true; }));
}

} // namespace
