#include "core/actor/permit.hpp"

namespace ron::core {

// -- permit ----------------------------------------------------------------------------

void permit::release() noexcept {
  if (auto pool = std::exchange(pool_, nullptr))
    pool->give_back();
}

// -- permit_pool -----------------------------------------------------------------------

std::shared_ptr<permit_pool> permit_pool::make(std::uint32_t permits, std::uint32_t waiters_max) {
  return std::shared_ptr<permit_pool>{new permit_pool{permits, waiters_max}};
}

permit permit_pool::try_acquire() noexcept {
  auto w = load();
  while (used(w) < permits() && waiting(w) == 0)
    if (word_.compare_exchange_weak(w, w + one_used, std::memory_order_acq_rel))
      return permit{shared_from_this()};
  return {};
}

permit_pool::admission permit_pool::acquire_or_wait(permit& out, work_step step) noexcept {
  const auto places = waiters_max() + (step == work_step::further ? further_max : 0);
  auto w = load();
  for (;;) {
    const auto most = permits();
    if (used(w) < most && waiting(w) == 0) {
      if (word_.compare_exchange_weak(w, w + one_used, std::memory_order_acq_rel)) {
        out = permit{shared_from_this()};
        return admission::granted;
      }
    } else if (waiting(w) < places) {
      if (word_.compare_exchange_weak(w, w + one_waiting, std::memory_order_seq_cst)) {
        // Of this look and that of who calls `set` one sees the other: more permits wake somebody.
        if (wake_ && permits_.load(std::memory_order_seq_cst) > most)
          wake_();
        return admission::waits;
      }
    } else {
      return admission::full;
    }
  }
}

permit permit_pool::grant_waiting() noexcept {
  auto w = load();
  while (used(w) < permits())
    if (word_.compare_exchange_weak(w, w + one_used - one_waiting, std::memory_order_acq_rel))
      return permit{shared_from_this()};
  return {};
}

void permit_pool::set(std::uint32_t permits, std::uint32_t waiters_max) noexcept {
  waiters_max_.store(std::min(waiters_max, waiters_most), std::memory_order_relaxed);
  permits_.store(permits, std::memory_order_seq_cst);
}

void permit_pool::leave() noexcept {
  word_.fetch_sub(one_waiting, std::memory_order_acq_rel);
}

bool permit_pool::must_wake() const noexcept {
  auto w = word_.load(std::memory_order_seq_cst);
  return used(w) < permits() && waiting(w) > 0;
}

void permit_pool::give_back() noexcept {
  auto before = word_.fetch_sub(one_used, std::memory_order_acq_rel);
  if (waiting(before) > 0 && wake_)
    wake_();
}

} // namespace ron::core
