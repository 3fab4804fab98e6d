#include "transport/handshake_line.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace ron::transport {

void handshake_line::enter(core::job step) {
  arm(); // first: the step may let go of the line
  if (ran_ < permits_ && waiting_.empty()) {
    ++ran_;
    step();
  } else {
    waiting_.push_back(std::move(step));
    metrics_->handshakes_deferred.add();
    metrics_->handshakes_waiting.add();
  }
}

void handshake_line::next_round() {
  armed_ = false;
  for (ran_ = 0; ran_ < permits_ && !waiting_.empty(); ++ran_) {
    auto step = std::move(waiting_.front());
    waiting_.pop_front();
    metrics_->handshakes_waiting.sub();
    step();
  }
  if (ran_ > 0)
    arm();
}

// Among the I/O handlers, behind all that are ready by now. A turn of the shard would not do: that
// of an idle one is a single handler.
void handshake_line::arm() {
  if (!std::exchange(armed_, true))
    boost::asio::post(home_.io(), [me = shared_from_this()] { me->next_round(); });
}

handshake_place::handshake_place(handshake_line_ptr line)
  : line_(std::move(line)), began_(line_->clock_.now()) {
  // nop
}

void handshake_place::succeeds(const core::crypto::tls_info& agreed) noexcept {
  outcome_ = agreed.resumed ? handshake::resumed : handshake::full;
  kex_ = agreed.hybrid ? key_exchange::hybrid : key_exchange::classic;
  if (agreed.downgraded)
    line_->metrics_->pq_downgrades.add();
}

handshake_place::~handshake_place() {
  line_->metrics_->handshakes.add(outcome_);
  if (outcome_ == handshake::full || outcome_ == handshake::resumed)
    line_->metrics_->handshake_seconds.observe(line_->clock_.now() - began_, kex_);
}

} // namespace ron::transport
