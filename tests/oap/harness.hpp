#pragma once

#include "oap/reader.hpp"
#include "oap/session.hpp"
#include "oap/wire.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace ron::oap::test {

/// A frame that a session wrote, in values.
struct sent_frame {
  oap::kind kind = kind::hello;
  std::uint16_t flags = 0;
  std::uint16_t status = 0;
  std::uint16_t app = 0;
  corr_t corr = 0;
  bool ext = false;
  std::uint64_t seq = 0; ///< DATA, END: seq; ACK: up_to; ERROR: last_seq
  std::uint32_t window = 0; ///< ACK, START
  reason why = reason::none;
  std::uint32_t retry_after_ms = 0;
  std::string text{}; ///< bytes, message, HELLO's body
};

inline sent_frame sent_frame_of(const frame_view& f) {
  sent_frame s{.kind = f.kind(), .flags = f.flags(), .status = f.status(), .app = f.app(),
               .corr = f.corr(), .ext = f.ext()};
  auto text = [](core::byte_view v) { return std::string{v.begin(), v.end()}; };
  switch (f.kind()) {
    case kind::hello:
      s.text = text(f.body());
      break;
    case kind::start:
      s.window = read_start(f).window;
      s.seq = read_start(f).seq_start;
      s.text = read_start(f).name;
      break;
    case kind::data:
    case kind::end:
      s.seq = read_data(f).seq;
      s.text = text(read_data(f).bytes);
      break;
    case kind::ack:
      s.seq = read_ack(f).up_to;
      s.window = read_ack(f).window;
      break;
    case kind::error:
      s.seq = read_error(f).last_seq;
      s.why = read_error(f).why;
      s.retry_after_ms = read_error(f).retry_after_ms;
      s.text = read_error(f).message;
      break;
  }
  return s;
}

/// One session with a peer made of hand-written frames. Verbs only; the session's answers are
/// collected in `log` (events) and `sent` (frames).
class harness {
public:
  explicit harness(role r, session_settings settings = {}, std::string_view hello = "{}")
    : s(r, std::move(settings)) {
    pump();
    sent.clear();
    if (!hello.empty())
      feed(hello_frame(r == role::acceptor, hello));
    log.clear();
  }

  void feed(const wire& w) {
    s.on_bytes(to_bytes(w), now);
    pump();
  }
  /// Takes events and output until there is nothing left. Everything written must be readable.
  void pump() {
    events batch;
    std::vector<core::bytes> out;
    bool more = true;
    while (more) {
      more = false;
      while (s.take_events(batch)) {
        more = true;
        std::move(batch.begin(), batch.end(), std::back_inserter(log));
      }
      out.clear();
      if (s.take(out)) {
        more = true;
        for (const auto& b : out)
          pending.insert(pending.end(), b.view().begin(), b.view().end());
      }
    }
    std::size_t at = 0;
    core::byte_view all{pending};
    while (at < all.size()) {
      auto r = next(all.subspan(at), {});
      ASSERT_EQ(r.is, read_status::frame) << "the session wrote a frame that cannot be read";
      sent.push_back(sent_frame_of(view_of(all.subspan(at), r)));
      at += r.len;
    }
    pending.clear();
  }

  template <class E>
  std::vector<E> all() const {
    std::vector<E> out;
    for (const auto& e : log)
      if (const auto* x = std::get_if<E>(&e))
        out.push_back(*x);
    return out;
  }
  template <class E>
  bool has() const {
    return !all<E>().empty();
  }
  std::vector<sent_frame> frames(kind k) const {
    std::vector<sent_frame> out;
    std::ranges::copy_if(sent, std::back_inserter(out),
                         [k](const sent_frame& f) { return f.kind == k; });
    return out;
  }
  std::uint64_t rejects(bucket b) const {
    return s.counters().rejects[static_cast<std::size_t>(b)];
  }
  std::uint64_t rejects() const {
    std::uint64_t n = 0;
    for (auto x : s.counters().rejects)
      n += x;
    return n;
  }

  /// The last frame fed was rejected for the whole connection, once, for this reason.
  void expect_connection_reject(reason why) {
    EXPECT_TRUE(s.is_closed());
    EXPECT_EQ(rejects(), 1u);
    EXPECT_EQ(rejects(info(why).bucket), 1u) << to_string(why);
    auto errors = frames(kind::error);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].app, 0);
    EXPECT_EQ(errors[0].corr, 0u);
    EXPECT_EQ(errors[0].why, why) << to_string(errors[0].why);
    EXPECT_EQ(errors[0].status, info(why).status);
    auto ends = all<closed>();
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].why, why);
    EXPECT_TRUE(ends[0].local);
    auto frames_in = s.counters().frames_in;
    feed(hello_frame(s.role() == role::acceptor));
    EXPECT_EQ(s.counters().frames_in, frames_in) << "nothing is read after the end";
    EXPECT_EQ(frames(kind::error).size(), 1u) << "one ERROR";
  }
  /// The last frame fed was rejected on its stream alone; `event`: its owner knew the stream.
  void expect_stream_reject(corr_t corr, reason why, bool event = true) {
    EXPECT_FALSE(s.is_closed());
    EXPECT_EQ(rejects(), 1u);
    EXPECT_EQ(rejects(info(why).bucket), 1u) << to_string(why);
    auto errors = frames(kind::error);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].corr, corr);
    EXPECT_NE(errors[0].app, 0);
    EXPECT_EQ(errors[0].why, why) << to_string(errors[0].why);
    EXPECT_EQ(errors[0].status, info(why).status);
    EXPECT_FALSE(s.is_open(corr));
    auto ends = all<stream_error>();
    ASSERT_EQ(ends.size(), event ? 1u : 0u);
    if (event) {
      EXPECT_EQ(ends[0].corr, corr);
      EXPECT_EQ(ends[0].why, why);
      EXPECT_TRUE(ends[0].local);
    }
  }

  session s;
  core::instant now{std::chrono::seconds{100}};
  events log;
  std::vector<sent_frame> sent;
  std::vector<std::uint8_t> pending;
};

/// An acceptor with stream 1 open, its START already dealt with.
class acceptor_harness : public harness {
public:
  explicit acceptor_harness(const start_opts& o = {}, session_settings settings = {})
    : harness(role::acceptor, std::move(settings)) {
    feed(start_frame_of(1, o));
    log.clear();
    sent.clear();
  }
};

/// A dialer that opened stream 1.
class dialer_harness : public harness {
public:
  explicit dialer_harness(open_request r = {.name = "echo"}, session_settings settings = {})
    : harness(role::dialer, std::move(settings)) {
    auto corr = s.open(r);
    EXPECT_TRUE(corr && *corr == 1);
    pump();
    log.clear();
    sent.clear();
  }
};

inline constexpr data_opts from_peer{.dir = flag::resp, .status = 200};

} // namespace ron::oap::test
