#pragma once

#include "oap/session.hpp"
#include "transport/quic/frame_lanes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

/// Two sessions with their lanes, and streams in RAM between them.
namespace ron::test {

using namespace transport::quic;

/// Streams in RAM: what one end sends lies here until the test hands it to the other.
class ram_carrier final : public stream_carrier {
public:
  struct lane {
    std::string bytes{};
    bool fin = false;
    std::optional<app_code> reset{};
    std::optional<app_code> stop{};
    bool delivered_end = false;
  };

  std::optional<stream_id> open_stream() override {
    if (allowed == 0)
      return std::nullopt;
    --allowed;
    const auto id = next;
    next += 4;
    lanes[id];
    return id;
  }
  void send(stream_id id, core::bytes slice) override { lanes[id].bytes += slice.text(); }
  void finish(stream_id id) override { lanes[id].fin = true; }
  void reset(stream_id id, app_code code) override {
    lanes[id].bytes.clear();
    lanes[id].reset = code;
  }
  void stop(stream_id id, app_code code) override { lanes[id].stop = code; }
  void credit(std::size_t n) override { credited += n; }

  std::map<stream_id, lane> lanes;
  stream_id next = 0;
  int allowed = 1'000;
  std::size_t credited = 0;
};

inline core::byte_view view(const std::string& s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

inline oap::session_settings settings_of_quic() {
  oap::session_settings s;
  s.independent_streams = true;
  s.max_streams = 512;
  return s;
}

/// A session, its lanes and the events it gave.
struct end_of_line {
  explicit end_of_line(side s)
      : lanes(s, carrier, core::limits::oap_frame_bytes_default),
        session(s == side::client ? oap::role::dialer : oap::role::acceptor, settings_of_quic()) {
    // nop
  }
  void turn() {
    while (lanes.ready())
      session.on_bytes(lanes.take(), core::instant{std::chrono::hours{1}});
    oap::events some;
    while (session.take_events(some))
      for (auto& e : some)
        seen.push_back(std::move(e));
    std::vector<core::bytes> out;
    if (session.take(out))
      lanes.write(out);
  }
  template <class E>
  std::size_t count() const {
    return static_cast<std::size_t>(
      std::ranges::count_if(seen, [](const auto& e) { return std::holds_alternative<E>(e); }));
  }
  template <class E>
  const E* last() const {
    const E* out = nullptr;
    for (const auto& e : seen)
      if (auto* x = std::get_if<E>(&e))
        out = x;
    return out;
  }

  ram_carrier carrier;
  frame_lanes lanes;
  oap::session session;
  std::vector<oap::event> seen;
};

class FrameLanes : public testing::Test {
public:
  /// Moves up to `most` bytes of one stream; false if it had nothing.
  bool move(end_of_line& from, end_of_line& to, stream_id id, std::size_t most) {
    auto& l = from.carrier.lanes[id];
    if (l.stop) {
      to.lanes.on_stream_stopped(id, *std::exchange(l.stop, std::nullopt));
      return true;
    }
    if (l.delivered_end)
      return false;
    if (l.reset) {
      l.delivered_end = true;
      to.lanes.on_stream_reset(id, *l.reset);
      return true;
    }
    const auto part = l.bytes.substr(0, most);
    l.bytes.erase(0, part.size());
    const bool fin = l.fin && l.bytes.empty();
    if (part.empty() && !fin)
      return false;
    moved += part.size();
    l.delivered_end = fin;
    to.lanes.on_stream_data(id, view(part), fin);
    return true;
  }
  /// Everything that is under way, stream after stream.
  void settle() {
    for (bool more = true; more;) {
      more = false;
      client.turn();
      server.turn();
      for (auto* from : {&client, &server}) {
        auto& to = from == &client ? server : client;
        std::vector<stream_id> ids;
        for (const auto& [id, l] : from->carrier.lanes)
          ids.push_back(id);
        for (auto id : ids)
          more |= move(*from, to, id, 1u << 20);
      }
    }
  }
  oap::corr_t open(bool end, std::string_view name = "echo") {
    oap::open_request r;
    r.name = name;
    r.end = end;
    auto corr = client.session.open(r);
    EXPECT_TRUE(corr);
    return corr.value_or(0);
  }

  end_of_line client{side::client};
  end_of_line server{side::server};
  std::size_t moved = 0;
};

} // namespace ron::test
