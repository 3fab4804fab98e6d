#include "core/actor/role_ref.hpp"

#include <utility>

namespace ron::core {

std::shared_ptr<role_table> role_table::make(caf::actor_system& system, std::size_t otherwise) {
  auto* all = shards::find(system);
  return std::shared_ptr<role_table>{new role_table{all, all ? all->size() : otherwise}};
}

void role_table::point(std::size_t i, caf::strong_actor_ptr replica) {
  if (!shards_ || shard::current() == &shards_->at(i)) {
    set(i, std::move(replica));
    return;
  }
  shards_->at(i).post([self = shared_from_this(), i, replica = std::move(replica)]() mutable {
    self->set(i, std::move(replica));
  });
}

void role_table::set(std::size_t i, caf::strong_actor_ptr replica) {
  auto& s = slots_[i];
  {
    std::lock_guard guard{s.mutex};
    s.replica.swap(replica);
  }
  // The former replica is let go of here, outside the lock.
  if (!s.replica)
    s.way.reset();
}

caf::strong_actor_ptr role_table::here() const {
  auto* here = shard::current();
  if (here && &here->owner() == shards_)
    return slots_[here->index()].replica; // only this thread writes it
  return at(0);
}

door* role_table::door_here() const noexcept {
  auto* here = shard::current();
  return here && &here->owner() == shards_ ? slots_[here->index()].way.get() : nullptr;
}

caf::strong_actor_ptr role_table::at(std::size_t i) const {
  const auto& s = slots_[i];
  std::lock_guard guard{s.mutex};
  return s.replica;
}

bool role_table::complete() const {
  for (std::size_t i = 0; i < size(); ++i)
    if (!at(i))
      return false;
  return true;
}

} // namespace ron::core
