// Frames that do not end, and streams that end inside one.
#include "transport/frame_lanes_rig.hpp"

#include <chrono>

namespace ron::test {
namespace {

using namespace std::chrono_literals;

/// The first `n` bytes of a frame of 60,000 on the stream of `corr`.
std::string begin_frame(oap::corr_t corr, std::uint16_t flags, std::size_t n) {
  std::string out(n, '\0');
  auto* head = reinterpret_cast<std::uint8_t*>(out.data());
  oap::store_be(head, std::uint32_t{60'000});
  oap::store_be(head + oap::off::flags, flags);
  oap::store_be(head + oap::off::app, std::uint16_t{1});
  oap::store_be(head + oap::off::corr, corr);
  return out;
}

TEST_F(FrameLanes, AFrameThatDoesNotGoOnEndsItsStreamAlone) {
  const auto slow = open(false);
  const auto good = open(false);
  settle();
  const auto before = server.carrier.credited;
  const auto part = begin_frame(slow, oap::flag::req, 1'000);
  server.lanes.on_stream_data(4, view(part), false);
  for (unsigned i = 0; i < frame_lanes::ages; ++i)
    ASSERT_EQ(server.lanes.age(5s), 0u) << i;
  EXPECT_EQ(server.lanes.age(5s), 1u);
  EXPECT_EQ(server.lanes.unfinished(), 0u);
  EXPECT_EQ(server.carrier.lanes[4].stop, static_cast<app_code>(oap::reason::timeout));
  EXPECT_EQ(server.carrier.lanes[4].reset, static_cast<app_code>(oap::reason::timeout));
  server.lanes.on_stream_data(4, view(std::string(500, 'x')), false); // was on its way
  EXPECT_EQ(server.carrier.credited, before + part.size() + 500);
  settle();
  ASSERT_NE(server.last<oap::stream_error>(), nullptr);
  EXPECT_EQ(server.last<oap::stream_error>()->corr, slow);
  EXPECT_EQ(server.last<oap::stream_error>()->why, oap::reason::timeout);
  ASSERT_NE(client.last<oap::stream_error>(), nullptr);
  EXPECT_EQ(client.last<oap::stream_error>()->why, oap::reason::timeout);
  EXPECT_TRUE(server.session.is_open(good));
  EXPECT_FALSE(server.session.is_closed());
  EXPECT_FALSE(client.session.is_closed());
}

TEST_F(FrameLanes, AStartThatDoesNotEndIsNobodysStream) {
  settle();
  server.lanes.on_stream_data(4, view(begin_frame(1, oap::flag::req | oap::flag::start, 100)),
                              false);
  std::size_t ended = 0;
  for (unsigned i = 0; i <= frame_lanes::ages; ++i)
    ended += server.lanes.age(5s);
  EXPECT_EQ(ended, 1u);
  settle();
  EXPECT_EQ(server.last<oap::stream_error>(), nullptr);
  EXPECT_FALSE(server.session.is_closed());
}

TEST_F(FrameLanes, AStartThatIsTakenBackHalfWayIsNobodysStream) {
  settle();
  server.lanes.on_stream_data(4, view(begin_frame(1, oap::flag::req | oap::flag::start, 100)),
                              false);
  server.lanes.on_stream_reset(4, 0x1f0);
  settle();
  EXPECT_EQ(server.last<oap::stream_error>(), nullptr);
  EXPECT_FALSE(server.session.is_closed());
}

TEST_F(FrameLanes, AFrameThatGrowsByItsShareStays) {
  open(false);
  settle();
  // Two unfinished frames share 16 KiB a second: 40 KiB each in the 5 s that a frame may take.
  server.lanes.on_stream_data(4, view(begin_frame(1, oap::flag::req, 100)), false);
  server.lanes.on_stream_data(8, view(begin_frame(2, oap::flag::req | oap::flag::start, 100)),
                              false);
  std::size_t ended = 0;
  for (unsigned i = 0; i <= frame_lanes::ages; ++i) {
    server.lanes.on_stream_data(4, view(std::string(10'000, 'x')), false);
    ended += server.lanes.age(5s);
  }
  EXPECT_EQ(ended, 1u);
  EXPECT_EQ(server.carrier.lanes[4].reset, std::nullopt);
  EXPECT_EQ(server.carrier.lanes[8].reset, static_cast<app_code>(oap::reason::timeout));
}

} // namespace
} // namespace ron::test
