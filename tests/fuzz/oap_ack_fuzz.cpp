#include "oap/credit.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>

namespace {

using namespace ron::oap;
__extension__ typedef unsigned __int128 wide; // in which nothing wraps

void must(bool ok) {
  if (!ok)
    std::abort();
}

/// Both halves of one direction with two lossless lines between them, and the algebra of the text
/// in numbers that do not wrap. The peers keep the rules except where the input says otherwise.
class world {
public:
  world(std::uint64_t start, std::uint32_t window)
      : tx_(start, window), rx_(start, window), s_(start), a_(start), w_(window), r_(start),
        u_(start), g_(wide{start} + window), consumed_(start), ack_window_(window) {
  }

  void send() {
    bool may = s_ + 1 <= a_ + w_ && s_ + 1 < last;
    must((tx_.room() > 0) == may);
    if (!may)
      return;
    ++s_;
    auto seq = tx_.take();
    must(seq == s_);
    frames_.push_back(seq);
  }
  void arrive() {
    if (frames_.empty())
      return;
    must(rx_.on_data(frames_.front()) == reason::none); // an honest sender never breaches
    r_ = frames_.front();
    frames_.pop_front();
  }
  void hostile_data(std::uint64_t seq) {
    auto copy = rx_;
    auto wanted = seq == last     ? reason::seq_gap
                  : seq <= r_     ? reason::dup_seq
                  : seq != r_ + 1 ? reason::seq_gap
                  : seq > g_      ? reason::window_overrun
                                  : reason::none;
    must(copy.on_data(seq) == wanted);
    must(copy.received() == (wanted == reason::none ? seq : std::uint64_t(r_)));
    must(rx_.on_empty_end(seq) == (seq == r_ ? reason::none : reason::seq_gap));
  }
  void consume(std::uint32_t n) {
    rx_.on_consumed(n);
    consumed_ = consumed_ + n > r_ ? r_ : consumed_ + n;
    must(rx_.unconsumed() == r_ - consumed_);
  }
  void acknowledge(std::uint32_t target) {
    auto room = r_ - consumed_;
    auto window = static_cast<std::uint32_t>(target > room ? target - room : 0);
    must(rx_.window_for(target) == window);
    must(rx_.unacked() == r_ - u_);
    must(rx_.on_ack_sent(window) == r_ - u_);
    u_ = r_;
    ack_window_ = window;
    auto limit = r_ + window > last ? wide{last} : r_ + window;
    g_ = limit > g_ ? limit : g_;
    must(rx_.limit() == (g_ > last ? wide{last} : g_));
    must(rx_.ack_due() == false || window == 0 || rx_.unacked() != 0);
    acks_.push_back({rx_.received(), window});
  }
  void hear() {
    if (acks_.empty())
      return;
    std::uint32_t freed = 0;
    must(tx_.on_ack(acks_.front().up_to, acks_.front().window, freed) == reason::none);
    must(freed == acks_.front().up_to - a_);
    a_ = acks_.front().up_to;
    w_ = acks_.front().window;
    acks_.pop_front();
  }
  void hostile_ack(std::uint64_t up_to, std::uint32_t window) {
    auto copy = tx_;
    std::uint32_t freed = 77;
    auto wanted = up_to < a_   ? reason::ack_rollback
                  : up_to > s_ ? reason::ack_overshoot
                               : reason::none;
    must(copy.on_ack(up_to, window, freed) == wanted);
    if (wanted == reason::none)
      must(copy.acked() == up_to && copy.window() == window && freed == up_to - a_);
    else
      must(copy.acked() == a_ && copy.window() == w_ && copy.last_sent() == s_ && freed == 77);
  }
  void check() const {
    must(tx_.last_sent() == s_ && tx_.acked() == a_ && tx_.unacked() == s_ - a_);
    must(s_ >= r_ && r_ >= u_ && u_ >= a_ && r_ >= consumed_); // up_to never goes back
    auto half = ack_window_ / 2 > 1 ? ack_window_ / 2 : 1;
    must(rx_.ack_due() == (r_ - u_ >= half));
  }

private:
  struct ack {
    std::uint64_t up_to;
    std::uint32_t window;
  };
  static constexpr std::uint64_t last = ~std::uint64_t{0};
  send_credit tx_;
  receive_credit rx_;
  wide s_, a_, w_, r_, u_, g_, consumed_;
  std::uint32_t ack_window_;
  std::deque<std::uint64_t> frames_;
  std::deque<ack> acks_;
};

} // namespace

// The credit algebra against plain arithmetic: any order of sends, arrivals, acknowledgements and
// window changes, honest and hostile, also at the end of the number space.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::size_t at = 0;
  auto byte = [&] {
    return at < size ? data[at++] : std::uint8_t{0};
  };
  auto mode = byte();
  auto small = std::uint64_t{byte()};
  auto start = mode & 1 ? ~std::uint64_t{0} - 1 - small : small;
  std::uint64_t near = start;
  world w{start, 1u + byte() % (mode & 2 ? 4u : 256u)};
  while (at < size) {
    auto op = byte();
    switch (op % 8) {
    case 0:
    case 1:
      w.send();
      break;
    case 2:
      w.arrive();
      break;
    case 3:
      w.consume(op / 8);
      break;
    case 4:
      w.acknowledge((op / 8) * 8u);
      break;
    case 5:
      w.hear();
      break;
    case 6:
      w.hostile_data(op & 128 ? ~std::uint64_t{0} : near + byte());
      break;
    case 7:
      w.hostile_ack(op & 128 ? near - byte() : near + byte(), op / 8);
      break;
    }
    w.check();
  }
  return 0;
}
