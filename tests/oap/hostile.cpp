#include "oap/hostile.hpp"

#include "oap/reader.hpp"
#include "oap/session.hpp"
#include "oap/wire.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

namespace ron::oap::test {

namespace {

void must(bool ok, const char* what) {
  if (ok)
    return;
  std::fprintf(stderr, "session broke a promise: %s\n", what);
  std::abort();
}

class owner {
public:
  owner(std::uint8_t mode, std::uint64_t seed)
    : session_(mode & 1 ? role::dialer : role::acceptor, settings(mode)),
      state_(seed * 2 + 1),
      one_slab_(mode & 16) {
    take();
    if (mode & 8)
      session_.on_bytes(
        to_bytes(hello_frame(session_.role() == role::acceptor, hello(mode))), now_);
    react();
    for (int i = 0; i < 3 && session_.role() == role::dialer; ++i)
      (void)session_.open({.name = "fuzz", .objects = i == 1, .reply_objects = i == 2});
    take();
  }

  void feed(core::byte_view wire) {
    auto all = core::bytes::copy(wire);
    for (std::size_t at = 0; at < all.size();) {
      auto n = 1 + random(random(4) ? 40 : 5'000);
      auto piece = all.slice(at, n);
      at += piece.size();
      now_ += std::chrono::milliseconds{random(50)};
      session_.on_bytes(one_slab_ ? piece : core::bytes::copy(piece.view()), now_);
      react();
      if (random(3) == 0)
        take();
      check();
    }
  }
  void finish() {
    session_.on_eof(random(2) == 0);
    react();
    take();
    must(ends_ == 1, "one end");
    must(session_.finished() && session_.open_streams() == 0, "finished");
    must(session_.committed_frames() == 0 && session_.inflight() == 0, "shares are given back");
    session_.trim();
    check();
  }

private:
  static session_settings settings(std::uint8_t mode) {
    session_settings s;
    s.features = {"x1", "zstd"};
    s.alpn = (mode & 2) == 0;
    s.max_streams = 64;
    if (mode & 4) {
      s.max_frame = 1u << 20;
      s.max_inflight = 100;
      s.ack_window = 16;
      s.receive_budget = 1;
      s.output_bytes_max = 1'000;
    }
    return s;
  }
  static const char* hello(std::uint8_t mode) {
    return mode & 32 ? R"({"features":["x1","zstd"],"max_frame":1048576,"ack_window":64})" : "{}";
  }

  std::uint64_t random(std::uint64_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % n;
  }

  void act(corr_t corr) {
    static const auto chunk = core::bytes::copy(std::string(3'000, 'c'));
    core::cid id;
    switch (random(12)) {
      case 0: session_.end(corr); break;
      case 1: session_.fail(corr, {core::ec::busy, "fuzz", 7}); break;
      case 2: session_.cancel(corr); break;
      case 3: session_.pause(corr); break;
      case 4: session_.resume(corr); break;
      case 5: session_.breach(corr, reason::inflate_bound); break;
      case 6: session_.consumed(corr, 1'000'000); break;
      case 7:
        if (random(20) == 0)
          session_.drain();
        break;
      default:
        (void)session_.send(corr, chunk.slice(0, random(3'000)),
                            {.obj = random(2) ? &id : nullptr, .push = random(4) == 0,
                             .end = random(8) == 0, .ack_req = random(4) == 0});
    }
    if (random(500) == 0)
      session_.close_with(reason::internal, "fuzz");
  }

  void react() {
    while (session_.take_events(batch_))
      for (const auto& e : batch_) {
        must(ends_ == 0, "no events after the end");
        std::visit([this](const auto& x) { on(x); }, e);
      }
  }
  void on(const peer_hello& e) { must(e.said != nullptr, "HELLO is there"); }
  void on(const opened& e) {
    must(e.corr > last_, "corrs rise");
    last_ = e.corr;
    touch(e.name);
    touch(e.cap);
    touch(e.args);
    act(e.corr);
  }
  void on(const data& e) {
    touch(e.bytes);
    if (random(2))
      session_.consumed(e.corr);
    act(e.corr);
  }
  void on(const ended& e) { act(e.corr); }
  void on(const stream_error& e) {
    touch(e.message);
    must(!session_.is_open(e.corr), "over is over");
  }
  void on(const credit& e) { act(e.corr); }
  void on(const draining&) {}
  void on(const closed& e) {
    touch(e.message);
    ++ends_;
  }
  // Reads every byte, so that a sanitizer sees a slice that is not there.
  void touch(const core::bytes& b) {
    for (auto x : b.view())
      sum_ = static_cast<std::uint8_t>(sum_ + x);
  }

  void take() {
    std::vector<core::bytes> out;
    session_.take(out);
    std::vector<std::uint8_t> all;
    for (const auto& b : out)
      all.insert(all.end(), b.view().begin(), b.view().end());
    core::byte_view v{all};
    while (!v.empty()) {
      auto r = next(v, {});
      must(r.is == read_status::frame, "what it writes can be read");
      if (view_of(v, r).kind() == kind::ack) {
        auto a = read_ack(view_of(v, r));
        auto& before = up_to_[view_of(v, r).corr()];
        must(a.up_to >= before, "up_to never goes back");
        before = a.up_to;
      }
      v = v.subspan(r.len);
    }
    react();
  }

  void check() {
    const auto& l = session_.limits();
    // Streams, remembered corrs, one frame, output, events of one piece.
    must(session_.memory_bytes() < l.max_streams * 1'200u + (128u << 10) + 2 * l.max_frame
                                     + (2u << 20) + (1u << 18),
         "memory is bounded");
    must(session_.open_streams() <= l.max_streams, "streams are bounded");
    must(session_.partial_bytes() <= l.max_frame, "one partial frame");
    must(session_.inflight() <= l.max_inflight, "frames in flight are bounded");
  }

  session session_;
  events batch_;
  std::map<corr_t, std::uint64_t> up_to_;
  std::uint64_t state_;
  corr_t last_ = 0;
  core::instant now_{std::chrono::hours{1}};
  int ends_ = 0;
  bool one_slab_;
  std::uint8_t sum_ = 0;
};

} // namespace

void drive_session(const std::uint8_t* data, std::size_t size) {
  if (size < 2)
    return;
  owner o{data[0], data[1]};
  o.feed({data + 2, size - 2});
  o.finish();
}

} // namespace ron::oap::test
