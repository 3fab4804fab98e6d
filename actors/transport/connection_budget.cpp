#include "transport/connection_budget.hpp"

namespace ron::transport {

std::string_view to_string(refusal r) noexcept {
  switch (r) {
    case refusal::conn_cap: return "conn_cap";
    case refusal::per_peer: return "per_peer";
    case refusal::transient: return "transient";
    case refusal::descriptors: return "descriptors";
    case refusal::user: return "user";
  }
  return "?";
}

connection_slot::~connection_slot() {
  if (!budget_)
    return;
  settle();
  budget_->leave(peer_);
}

void connection_slot::settle() noexcept {
  if (budget_ && !std::exchange(settled_, true))
    --budget_->transient_;
}

std::expected<connection_slot, refusal> connection_budget::enter(const peer_key& peer) {
  std::lock_guard lock{mutex_};
  if (closed_ || count_ >= max_)
    return std::unexpected{refusal::conn_cap};
  if (transient_ >= transient_max_)
    return std::unexpected{refusal::transient};
  if (!peer.is_none()) {
    auto& mine = by_peer_[peer];
    if (mine >= per_peer_max_) {
      if (mine == 0)
        by_peer_.erase(peer);
      return std::unexpected{refusal::per_peer};
    }
    ++mine;
  }
  ++count_;
  ++transient_;
  return connection_slot{shared_from_this(), peer};
}

void connection_budget::set_limits(const connection_limits& limits) noexcept {
  max_ = limits.connections_max;
  per_peer_max_ = limits.per_peer_max;
  transient_max_ = limits.transient_max;
}

void connection_budget::leave(const peer_key& peer) noexcept {
  std::lock_guard lock{mutex_};
  --count_;
  if (peer.is_none())
    return;
  auto i = by_peer_.find(peer);
  if (i != by_peer_.end() && --i->second == 0)
    by_peer_.erase(i);
}

} // namespace ron::transport
