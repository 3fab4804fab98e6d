#include "oap/harness.hpp"
#include "oap/hostile.hpp"
#include "oap/vectors.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

/// Random histories, good and bad: the same bytes mean the same however they are cut, and nothing
/// that a peer sends does harm.
namespace ron::oap::test {
namespace {

using rng_t = std::mt19937_64;

std::uint64_t rounds(std::uint64_t n) {
  return std::getenv("TEST_FULL") ? n * 20 : n;
}

// What a peer might send: mostly right, now and then wrong in one of many ways.
class history {
public:
  history(rng_t& rng, bool dialer) : rng_(rng), dir_(dialer ? flag::req : flag::resp) {
    if (chance(97))
      w_ = hello_frame(dialer, chance(50) ? R"({"features":["zstd"],"max_frame":1048576})" : "{}");
    auto n = rng_() % 60;
    for (std::uint64_t i = 0; i < n; ++i)
      w_ = w_ + (dialer && (last_ == 0 || chance(15)) ? start() : on_stream());
    if (chance(10))
      w_.resize(w_.size() - std::min<std::size_t>(w_.size(), rng_() % 60));
  }
  const wire& bytes() const { return w_; }

private:
  bool chance(unsigned percent) { return rng_() % 100 < percent; }

  wire start() {
    last_ += chance(95) ? 1 + rng_() % 2 : 0;
    return start_frame_of(last_, {.flags = static_cast<std::uint16_t>(chance(30) ? flag::end : 0),
                                  .tenant = static_cast<std::uint8_t>(rng_() % 2),
                                  .xflags = static_cast<std::uint8_t>(rng_() % 4),
                                  .window = chance(99) ? 8u : 0u,
                                  .cap = std::string(rng_() % 40, 'c'),
                                  .args = std::string(rng_() % 3'000, 'a')});
  }
  wire on_stream() {
    corr_t corr = chance(98) ? 1 + rng_() % std::max<corr_t>(last_, 3) : 1'000;
    auto& seq = seq_[corr];
    data_opts o{.dir = dir_};
    if (chance(2))
      o.app = 2;
    if (chance(20))
      o.obj = chance(90) ? 1 : 2;
    if (chance(3)) {
      o.flags = flag::comp;
      o.raw_len = chance(80) ? 100u : (9u << 20);
    }
    std::string text(rng_() % (chance(10) ? 60'000 : 200), 'd');
    switch (rng_() % 20) {
      case 0: return end_frame_of(corr, chance(90) ? seq : seq + 5, "", o);
      case 1: return end_frame_of(corr, ++seq, text, o);
      case 2: return ack_frame_of(corr, rng_() % 3, static_cast<std::uint32_t>(rng_() % 1'030));
      case 3: return error_frame_of(corr, 499, 0x1f0);
      case 4: return chance(10) ? error_frame_of(0, 503, 0x1f1, 1) : wire{};
      case 5: return chance(10) ? hello_frame(dir_ == flag::req) : wire{};
      case 6: return chance(10) ? wire{0, 0, 0, 1} : wire{};
      case 7: return chance(10) ? wire{0xff, 0xff, 0xff, 0xff} : wire{};
      default: return data_frame_of(corr, chance(95) ? ++seq : rng_() % 20, text, o);
    }
  }

  rng_t& rng_;
  std::uint16_t dir_;
  corr_t last_ = 0;
  std::map<corr_t, std::uint64_t> seq_;
  wire w_;
};

std::string told(const event& e) {
  auto text = [](const core::bytes& b) { return core::to_hex(b.view()); };
  struct {
    decltype(text) hex;
    std::string operator()(const peer_hello& x) const { return "hello " + x.said->ua; }
    std::string operator()(const opened& x) const {
      return "opened " + std::to_string(x.corr) + hex(x.name) + hex(x.cap) + hex(x.args);
    }
    std::string operator()(const data& x) const {
      return "data " + std::to_string(x.corr) + "#" + std::to_string(x.seq) + hex(x.bytes)
             + (x.obj ? x.obj->to_text() : "");
    }
    std::string operator()(const ended& x) const {
      return "ended " + std::to_string(x.corr) + (x.closed ? "!" : "");
    }
    std::string operator()(const stream_error& x) const {
      return "error " + std::to_string(x.corr) + std::string{to_string(x.why)} + hex(x.message);
    }
    std::string operator()(const credit& x) const { return "credit " + std::to_string(x.corr); }
    std::string operator()(const draining& x) const {
      return "draining " + std::to_string(x.last_seq);
    }
    std::string operator()(const closed& x) const {
      return "closed " + std::string{to_string(x.why)};
    }
  } say{text};
  return std::visit(say, e);
}

// Everything a session made of `w`, cut into pieces of at most `piece` bytes.
std::string outcome(role r, const wire& w, std::size_t piece, rng_t& rng) {
  session s{r, {.max_frame = 1u << 20, .features = {"x1", "zstd"}}};
  std::vector<core::bytes> out;
  s.take(out);
  if (r == role::dialer) {
    s.open({.name = "a"}).value();
    s.open({.name = "b", .objects = true}).value();
    s.open({.name = "c", .reply_objects = true, .end = true}).value();
    for (int i = 0; i < 3; ++i)
      s.send(1, core::bytes::literal("x"));
  }
  auto all = to_bytes(w);
  for (std::size_t at = 0; at < all.size();) {
    auto n = std::min<std::size_t>(all.size() - at, 1 + rng() % piece);
    s.on_bytes(rng() % 2 ? all.slice(at, n) : core::bytes::copy(all.slice(at, n).view()), {});
    at += n;
  }
  s.on_eof(true);
  std::string text;
  events batch;
  while (s.take_events(batch))
    for (const auto& e : batch)
      text += told(e) + "\n";
  out.clear();
  s.take(out);
  for (const auto& b : out)
    text += core::to_hex(b.view());
  for (auto n : s.counters().rejects)
    text += "," + std::to_string(n);
  for (auto n : s.counters().frames_in)
    text += ";" + std::to_string(n);
  return text;
}

TEST(OapSplit, EveryCutOfARandomHistoryMeansTheSame) {
  const std::uint64_t first = std::random_device{}();
  for (std::uint64_t i = 0; i < rounds(400); ++i) {
    SCOPED_TRACE("seed " + std::to_string(first + i));
    rng_t rng{first + i};
    auto r = rng() % 2 ? role::acceptor : role::dialer;
    history h{rng, r == role::acceptor};
    auto whole = outcome(r, h.bytes(), std::size_t(-1) >> 1, rng);
    for (std::size_t piece : {3u, 50u, 1'000u, 70'000u})
      ASSERT_EQ(outcome(r, h.bytes(), piece, rng), whole) << "pieces up to " << piece;
  }
}

TEST(OapHostile, MutatedHistoriesDoNoHarm) {
  const std::uint64_t first = std::random_device{}();
  for (std::uint64_t i = 0; i < rounds(2'000); ++i) {
    SCOPED_TRACE("seed " + std::to_string(first + i));
    rng_t rng{first + i};
    wire w{static_cast<std::uint8_t>(rng()), static_cast<std::uint8_t>(rng())};
    w = w + history{rng, (w[0] & 1) == 0}.bytes();
    for (auto n = rng() % 6; n > 0 && w.size() > 3; --n) {
      auto at = 2 + rng() % (w.size() - 2);
      switch (rng() % 4) {
        case 0: w[at] = static_cast<std::uint8_t>(rng()); break;
        case 1: w[at] ^= static_cast<std::uint8_t>(1u << (rng() % 8)); break;
        case 2: w.erase(w.begin() + static_cast<std::ptrdiff_t>(at)); break;
        default:
          w = w + wire{w.begin() + static_cast<std::ptrdiff_t>(at), w.end()};
          w.resize(std::min<std::size_t>(w.size(), 300'000));
      }
    }
    drive_session(w.data(), w.size());
  }
}

TEST(OapHostile, VectorsInAnyOrderDoNoHarm) {
  const std::uint64_t first = std::random_device{}();
  auto vectors = load_vectors();
  for (std::uint64_t i = 0; i < rounds(1'000); ++i) {
    SCOPED_TRACE("seed " + std::to_string(first + i));
    rng_t rng{first + i};
    wire w{static_cast<std::uint8_t>(rng()), static_cast<std::uint8_t>(rng())};
    for (int n = 0; n < 20; ++n)
      w = w + vectors[rng() % vectors.size()].bytes;
    drive_session(w.data(), w.size());
  }
}

// A peer that knows the grammar and floods: refused streams, errors, acknowledgements.
TEST(OapHostile, FloodsAreBounded) {
  harness h{role::acceptor, {.max_streams = 64}};
  std::size_t worst = 0;
  for (corr_t c = 1; c <= 20'000 && h.s.wants_read(); ++c) {
    h.s.on_bytes(to_bytes(start_frame_of(c) + data_frame_of(c, 1) + error_frame_of(c, 499, 0)
                          + ack_frame_of(c, 0, 0)),
                 h.now);
    events batch;
    while (h.s.take_events(batch)) {
    }
    worst = std::max(worst, h.s.memory_bytes());
  }
  EXPECT_LT(worst, 2u << 20);
  EXPECT_FALSE(h.s.is_closed());
  EXPECT_FALSE(h.s.wants_read()) << "nobody took the answers";
}

} // namespace
} // namespace ron::oap::test
