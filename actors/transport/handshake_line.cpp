#include "transport/handshake_line.hpp"

#include <utility>

namespace ron::transport {

void handshake_line::enter(core::job step) {
  if (ran_ < per_turn_ && waiting_.empty()) {
    ++ran_;
    step();
  } else {
    waiting_.push_back(std::move(step));
  }
  arm();
}

// A job submitted at the end of a turn runs in the next one, after what is ready by then.
void handshake_line::next_turn() {
  armed_ = false;
  ran_ = 0;
  if (waiting_.empty())
    return;
  home_.submit([me = shared_from_this()] { me->run_some(); });
}

void handshake_line::run_some() {
  for (; ran_ < per_turn_ && !waiting_.empty(); ++ran_) {
    auto step = std::move(waiting_.front());
    waiting_.pop_front();
    step();
  }
  arm();
}

void handshake_line::arm() {
  if (!std::exchange(armed_, true))
    home_.defer([me = shared_from_this()] { me->next_turn(); });
}

} // namespace ron::transport
