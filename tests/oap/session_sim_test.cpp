#include "oap/reader.hpp"
#include "oap/session.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

/// Two sessions on two byte pipes: any number of streams, any interleaving, any chunking, slow and
/// fast consumers, small pipes. Everything arrives, nobody is ever rejected, nothing grows.
namespace ron::oap::test {
namespace {

using rng_t = std::mt19937_64;

std::uint8_t byte_at(corr_t corr, bool from_dialer, std::uint64_t i) {
  return static_cast<std::uint8_t>((i * 131 + corr * 17 + (from_dialer ? 5 : 0)) >> (i % 3));
}

core::bytes piece(corr_t corr, bool from_dialer, std::uint64_t at, std::size_t n) {
  auto* b = core::block::make(n);
  for (std::size_t i = 0; i < n; ++i)
    b->data()[i] = byte_at(corr, from_dialer, at + i);
  core::bytes out{b, b->data(), n};
  b->unref();
  return out;
}

/// What one side wants to do with one stream.
struct job {
  std::uint64_t to_send = 0;
  std::uint64_t sent = 0;
  std::uint64_t to_receive = 0;
  std::uint64_t received = 0;
  bool echo = false;      ///< sends what it received, and consumes only when that was sent
  std::uint32_t held = 0; ///< frames not consumed yet
  bool blocked = false;   ///< waits for a credit event
  bool tx_done = false;
  bool rx_done = false;
  bool broken = false;    ///< ended by an ERROR
};

/// A link that keeps what the peer has not read yet, up to a bound.
struct pipe {
  std::deque<core::bytes> slices;
  std::size_t size = 0;
};

struct plan {
  std::size_t streams = 1;
  std::size_t open_at_once = 64;
  std::uint64_t bytes_max = 200'000;
  std::size_t chunk_max = 20'000;
  std::size_t pipe_max = 100'000;
  bool echo = false;
  bool trouble = false; ///< cancels, failures, pauses
  session_settings dialer{};
  session_settings acceptor{};
};

class side {
public:
  side(role r, session_settings s, const plan& p, rng_t& rng)
    : session_(r, std::move(s)), dialer_(r == role::dialer), plan_(p), rng_(rng) {
    // nop
  }

  // One round of everything this side may do. True if anything happened.
  bool turn(pipe& in, pipe& out, core::instant now) {
    bool any = read(in, now);
    any |= handle_events();
    if (dialer_)
      any |= open_streams();
    any |= work();
    any |= handle_events();
    any |= write(out);
    any |= handle_events();
    check();
    return any;
  }
  bool done() const {
    return (!dialer_ || opened_ == plan_.streams)
           && std::ranges::all_of(jobs_, [](const auto& j) {
                return j.second.broken || (j.second.tx_done && j.second.rx_done);
              });
  }
  session& get() { return session_; }
  std::size_t finished_streams() const {
    return static_cast<std::size_t>(std::ranges::count_if(
      jobs_, [](const auto& j) { return !j.second.broken && j.second.rx_done; }));
  }

private:
  bool chance(unsigned percent) { return rng_() % 100 < percent; }

  bool read(pipe& in, core::instant now) {
    if (!session_.wants_read())
      return false;
    bool any = false;
    auto n = in.slices.empty() ? 0 : 1 + rng_() % 8;
    for (; n > 0 && !in.slices.empty(); --n) {
      auto b = std::move(in.slices.front());
      in.slices.pop_front();
      in.size -= b.size();
      session_.on_bytes(std::move(b), now);
      any = true;
    }
    return any;
  }

  // Re-cut at random points into fresh blocks or slices, as a link would bring them.
  bool write(pipe& out) {
    if (out.size >= plan_.pipe_max)
      return false;
    std::vector<core::bytes> taken;
    if (!session_.take(taken))
      return false;
    std::vector<std::uint8_t> all;
    for (const auto& b : taken)
      all.insert(all.end(), b.view().begin(), b.view().end());
    observe(all);
    bool one_slab = chance(50);
    auto slab = core::bytes::copy(core::byte_view{all});
    for (std::size_t at = 0; at < all.size();) {
      auto n = std::min<std::size_t>(all.size() - at, 1 + rng_() % (chance(30) ? 50 : 30'000));
      out.slices.push_back(one_slab ? slab.slice(at, n)
                                    : core::bytes::copy(slab.slice(at, n).view()));
      at += n;
    }
    out.size += all.size();
    return true;
  }

  // ACKs on the wire: up_to never goes back, windows are in range.
  void observe(const std::vector<std::uint8_t>& all) {
    core::byte_view v{all};
    while (!v.empty()) {
      auto r = next(v, {.x1 = true});
      ASSERT_EQ(r.is, read_status::frame);
      auto f = view_of(v, r);
      if (f.kind() == kind::ack) {
        auto a = read_ack(f);
        ASSERT_GE(a.up_to, up_to_[f.corr()]);
        ASSERT_LE(a.window, core::limits::oap_ack_window_max);
        up_to_[f.corr()] = a.up_to;
      }
      v = v.subspan(r.len);
    }
  }

  job make_job(corr_t corr) const {
    rng_t r{corr * 7919 + plan_.streams};
    job j;
    auto up = r() % (plan_.bytes_max + 1);
    auto down = plan_.echo ? up : r() % (plan_.bytes_max + 1);
    j.to_send = dialer_ ? up : down;
    j.to_receive = dialer_ ? down : up;
    j.echo = plan_.echo && !dialer_;
    return j;
  }

  bool open_streams() {
    bool any = false;
    while (opened_ < plan_.streams && session_.open_streams() < plan_.open_at_once && chance(70)) {
      auto corr = session_.open({.name = "sim", .window = static_cast<std::uint32_t>(
                                   chance(50) ? 0 : 1 + rng_() % 32)});
      if (!corr)
        return any;
      ++opened_;
      jobs_[*corr] = make_job(*corr);
      any = true;
    }
    return any;
  }

  bool handle_events() {
    bool any = false;
    while (session_.take_events(batch_)) {
      any = true;
      for (const auto& e : batch_)
        std::visit([this](const auto& x) { on(x); }, e);
    }
    return any;
  }

  void on(const peer_hello&) {}
  void on(const draining&) {}
  void on(const opened& e) { jobs_[e.corr] = make_job(e.corr); }
  void on(const data& e) {
    auto& j = jobs_.at(e.corr);
    for (std::size_t i = 0; i < e.bytes.size(); ++i)
      ASSERT_EQ(e.bytes.data()[i], byte_at(e.corr, !dialer_ || plan_.echo, j.received + i))
        << "corr " << e.corr;
    j.received += e.bytes.size();
    ++j.held;
  }
  void on(const ended& e) {
    auto& j = jobs_.at(e.corr);
    j.rx_done = true;
    ASSERT_EQ(j.received, j.to_receive) << "corr " << e.corr;
  }
  void on(const stream_error& e) {
    ASSERT_TRUE(plan_.trouble) << to_string(e.why);
    ASSERT_FALSE(e.local) << to_string(e.why);
    jobs_.at(e.corr).broken = true;
  }
  void on(const credit& e) { jobs_.at(e.corr).blocked = false; }
  void on(const closed& e) { FAIL() << "closed: " << to_string(e.why); }

  bool work() {
    bool any = false;
    for (auto& [corr, j] : jobs_) {
      if (j.broken || (j.tx_done && j.rx_done && j.held == 0))
        continue;
      if (plan_.trouble && session_.is_open(corr) && make_trouble(corr, j)) {
        any = true;
        continue;
      }
      if (!j.echo && j.held != 0 && chance(60)) {
        auto n = static_cast<std::uint32_t>(1 + rng_() % j.held);
        session_.consumed(corr, n);
        j.held -= n;
        any = true;
      }
      while (!j.tx_done && !j.blocked && chance(85) && send(corr, j))
        any = true;
    }
    return any;
  }

  bool make_trouble(corr_t corr, job& j) {
    auto what = rng_() % 2'000;
    if (what == 0)
      session_.cancel(corr);
    else if (what == 1)
      session_.fail(corr, {core::ec::busy, "sim", 10});
    else if (what < 40)
      session_.pause(corr);
    else if (what < 400)
      session_.resume(corr);
    j.broken = what < 2;
    return what < 400;
  }

  // True if something was sent.
  bool send(corr_t corr, job& j) {
    auto room = (j.echo ? j.received : j.to_send) - j.sent;
    if (j.echo && room == 0 && !j.rx_done) {
      consume_all(corr, j);
      return false;
    }
    if (room == 0) {
      consume_all(corr, j);
      j.tx_done = true;
      return session_.end(corr);
    }
    auto n = static_cast<std::size_t>(std::min<std::uint64_t>(room, 1 + rng_() % plan_.chunk_max));
    bool last = !j.echo && n == room && chance(50);
    auto got = session_.send(corr, piece(corr, dialer_ || j.echo, j.sent, n), {.end = last});
    if (got == send_status::would_block) {
      j.blocked = true;
      return false;
    }
    EXPECT_EQ(got, send_status::sent);
    j.sent += n;
    j.tx_done = last;
    if (j.echo && j.sent == j.received)
      consume_all(corr, j);
    return true;
  }
  void consume_all(corr_t corr, job& j) {
    if (j.echo && j.held != 0)
      session_.consumed(corr, std::exchange(j.held, 0));
  }

  void check() {
    for (auto n : session_.counters().rejects)
      ASSERT_EQ(n, 0u);
    ASSERT_LE(session_.inflight(), session_.limits().max_inflight);
    ASSERT_LE(session_.pending_bytes(), 500'000u);
    ASSERT_LE(session_.memory_bytes(), 1'500'000u);
  }

  session session_;
  bool dialer_;
  const plan& plan_;
  rng_t& rng_;
  std::map<corr_t, job> jobs_;
  std::map<corr_t, std::uint64_t> up_to_;
  events batch_;
  std::size_t opened_ = 0;
};

// Runs until both sides are done. A thousand rounds in which nothing happened are a deadlock.
void run(const plan& p, std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  rng_t rng{seed};
  side dialer{role::dialer, p.dialer, p, rng};
  side acceptor{role::acceptor, p.acceptor, p, rng};
  pipe up;
  pipe down;
  core::instant now{std::chrono::hours{1}};
  int idle = 0;
  while (!dialer.done() || !acceptor.done()) {
    now += std::chrono::milliseconds{20};
    bool any = dialer.turn(down, up, now);
    any |= acceptor.turn(up, down, now);
    idle = any ? 0 : idle + 1;
    ASSERT_LT(idle, 1'000) << "deadlock";
    if (testing::Test::HasFatalFailure())
      return;
  }
  if (!p.trouble) {
    ASSERT_EQ(dialer.finished_streams(), p.streams);
  }
}

std::uint64_t seeds() {
  return std::getenv("TEST_FULL") ? 3'000 : 150;
}

plan random_plan(std::uint64_t seed) {
  rng_t rng{seed};
  auto pick = [&rng](std::initializer_list<std::size_t> l) { return l.begin()[rng() % l.size()]; };
  plan p;
  p.streams = pick({1, 2, 5, 8, 20, 64});
  p.open_at_once = pick({1, 5, 64});
  p.bytes_max = p.streams > 10 ? 30'000 : 300'000;
  p.chunk_max = pick({10, 1'000, 20'000, 66'000});
  if (p.chunk_max == 10)
    p.bytes_max /= 50;
  p.pipe_max = pick({1, 5'000, 1'000'000});
  for (auto* s : {&p.dialer, &p.acceptor}) {
    s->ack_window = static_cast<std::uint32_t>(pick({8, 9, 32, 256, 1'024}));
    s->max_inflight = static_cast<std::uint32_t>(pick({64, 65, 512}));
    s->receive_budget = pick({1, 66'560 * 10, 8u << 20});
    s->output_bytes_max = pick({1, 50'000, 262'144});
    s->max_streams = 512;
  }
  return p;
}

TEST(OapSim, EveryByteArrives) {
  for (std::uint64_t seed = 1; seed <= seeds() && !HasFatalFailure(); ++seed)
    run(random_plan(seed), seed);
}

TEST(OapSim, EveryByteComesBackFromAnEchoThatConsumesOnlyWhatItSent) {
  for (std::uint64_t seed = 1; seed <= seeds() && !HasFatalFailure(); ++seed) {
    auto p = random_plan(seed);
    p.echo = true;
    run(p, seed);
  }
}

TEST(OapSim, TroubleOnSomeStreamsHurtsNoOther) {
  for (std::uint64_t seed = 1; seed <= seeds() && !HasFatalFailure(); ++seed) {
    auto p = random_plan(seed);
    p.trouble = true;
    run(p, seed);
  }
}

} // namespace
} // namespace ron::oap::test
