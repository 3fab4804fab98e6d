#include "storage/collector.hpp"

#include "storage/lmdb_layout.hpp"

#include <optional>
#include <utility>

namespace ron::storage {

std::uint64_t collector::open() {
  std::lock_guard guard{mutex_};
  owned_.insert(next_);
  return next_++;
}

void collector::close(std::uint64_t number, bool loose) {
  {
    std::lock_guard guard{mutex_};
    owned_.erase(number);
  }
  if (loose)
    kick();
}

void collector::kick() {
  {
    std::lock_guard guard{mutex_};
    if (std::exchange(running_, true)) {
      again_ = true;
      return;
    }
  }
  submit();
}

bool collector::owned(std::uint64_t number) {
  std::lock_guard guard{mutex_};
  return owned_.contains(number);
}

void collector::submit() {
  auto more = std::make_shared<bool>(false);
  core::store::write_job job;
  job.bytes = step * 128; // touched leaf pages, roughly
  job.frees = true;
  job.apply = [this, more](core::store::transaction& t) -> core::result<void> {
    auto found = remove_step(t);
    if (!found)
      return std::unexpected{found.error()};
    *more = *found;
    return {};
  };
  job.then = [this, more](core::result<void> r) {
    if (!r)
      failed_.fetch_add(1, std::memory_order_relaxed);
    stepped(r && *more);
  };
  log_.submit(std::move(job));
}

void collector::stepped(bool more) {
  {
    std::lock_guard guard{mutex_};
    if (!more && !std::exchange(again_, false)) {
      running_ = false;
      return;
    }
  }
  submit();
}

core::result<bool> collector::remove_step(core::store::transaction& t) {
  std::optional<std::uint64_t> number;
  {
    auto c = t.scan(layout::loose);
    for (bool there = c.first(); there && !number; there = c.next())
      if (auto n = core::store::load<std::uint64_t>(c.key()); !owned(n))
        number = n;
    if (auto ok = c.status(); !ok)
      return std::unexpected{ok.error()};
  }
  if (!number)
    return false;
  auto all = layout::remove_some(t, *number, step);
  if (!all)
    return std::unexpected{all.error()};
  if (*all)
    if (auto ok = t.del(layout::loose, core::store::key::of(*number)); !ok)
      return std::unexpected{ok.error()};
  return true;
}

} // namespace ron::storage
