#include "core/actor/directory.hpp"

#include <caf/exit_reason.hpp>

#include <algorithm>
#include <utility>

namespace ron::core {

namespace {

// Ends that somebody wanted.
bool is_failure(const caf::error& reason) {
  if (!reason)
    return false;
  for (auto wanted : {caf::exit_reason::normal, caf::exit_reason::user_shutdown,
                      caf::exit_reason::kill, caf::exit_reason::unreachable})
    if (reason == wanted)
      return false;
  return true;
}

std::string render(const caf::error& reason) {
  return reason ? caf::to_string(reason) : "normal";
}

} // namespace

directory& directory::instance() noexcept {
  static directory d;
  return d;
}

// -- writers -----------------------------------------------------------------------------

void directory::add(probe& p) {
  auto& s = stripe_of(p.id);
  std::lock_guard guard{s.mutex};
  p.previous = nullptr;
  p.next = std::exchange(s.first, &p);
  if (p.next)
    p.next->previous = &p;
  ++s.size;
}

// The end is on record before the actor leaves the living: who finds it gone finds how it ended.
void directory::remove(probe& p, const caf::error& reason) {
  record_end(p, reason);
  auto& s = stripe_of(p.id);
  std::lock_guard guard{s.mutex};
  (p.previous ? p.previous->next : s.first) = p.next;
  if (p.next)
    p.next->previous = p.previous;
  --s.size;
}

void directory::record_end(const probe& p, const caf::error& reason) {
  auto now = std::chrono::steady_clock::now();
  death d{{.id = p.id,
           .parent = p.parent,
           .type = p.type,
           .shard = p.shard,
           .reason = {},
           .failed = is_failure(reason),
           .high_water = p.high_water.load(std::memory_order_relaxed),
           .in = p.in.load(std::memory_order_relaxed),
           .age = now - p.started,
           .when = now,
           .last = {}},
          reason};
  auto& last = d.record.last;
  for (std::size_t i = 0; i < last.size() && i < d.record.in; ++i) {
    auto slot = (d.record.in - 1 - i) % probe::remembered;
    last[i] = message_tag{p.last[slot].load(std::memory_order_relaxed)};
  }
  std::lock_guard guard{deaths_mutex_};
  if (deaths_.size() < deaths_max)
    deaths_.push_back(std::move(d));
  else
    deaths_[deaths_total_ % deaths_max] = std::move(d);
  ++deaths_total_;
}

// -- readers -----------------------------------------------------------------------------

std::size_t directory::size() const {
  std::size_t n = 0;
  for (const auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    n += s.size;
  }
  return n;
}

std::vector<actor_record>
directory::snapshot(const std::function<bool(const actor_record&)>& keep) const {
  std::vector<actor_record> out;
  for (const auto& s : stripes_) {
    auto now = std::chrono::steady_clock::now();
    std::lock_guard guard{s.mutex};
    for (auto* p = s.first; p; p = p->next)
      if (auto record = read(*p, now); !keep || keep(record))
        out.push_back(record);
  }
  return out;
}

probe* directory::seek(const stripe& s, std::uint64_t id) noexcept {
  auto* p = s.first;
  while (p && p->id != id)
    p = p->next;
  return p;
}

std::optional<actor_record> directory::get(std::uint64_t id) const {
  const auto& s = stripe_of(id);
  std::lock_guard guard{s.mutex};
  auto* p = seek(s, id);
  return p ? std::optional{read(*p, std::chrono::steady_clock::now())} : std::nullopt;
}

// The actor may have lost its last reference and wait for this lock on its way out: only a
// reference that still exists can be joined.
caf::strong_actor_ptr directory::find(std::uint64_t id) const {
  const auto& s = stripe_of(id);
  std::lock_guard guard{s.mutex};
  auto* p = seek(s, id);
  if (!p || !caf::intrusive_ptr_upgrade_weak(p->control))
    return nullptr;
  return {p->control, false};
}

bool directory::set_bound(std::uint64_t id, std::uint32_t bound) {
  auto& s = stripe_of(id);
  std::lock_guard guard{s.mutex};
  auto* p = seek(s, id);
  if (p)
    p->bound.store(std::clamp(bound, 1u, limits::mailbox_bound_max), std::memory_order_relaxed);
  return p != nullptr;
}

actor_record directory::read(const probe& p, instant now) noexcept {
  auto get = [](const auto& x) { return x.load(std::memory_order_relaxed); };
  actor_record r{.id = p.id,
                 .parent = p.parent,
                 .type = p.type,
                 .shard = p.shard,
                 .depth = get(p.depth),
                 .bound = get(p.bound),
                 .high_water = get(p.high_water),
                 .in = get(p.in),
                 .out = get(p.out),
                 .refused = get(p.refused),
                 .dropped = get(p.dropped),
                 .busy = std::chrono::nanoseconds{get(p.busy_ns)},
                 .in_handler = {},
                 .age = now - p.started,
                 .last = {},
                 .site = p.site};
  if (r.in > 0)
    r.last = message_tag{get(p.last[(r.in - 1) % probe::remembered])};
  if (auto since = get(p.running_since)) {
    auto running = now.time_since_epoch() - std::chrono::nanoseconds{since};
    r.in_handler = std::max(running, std::chrono::nanoseconds{1});
    r.busy += r.in_handler;
  }
  return r;
}

std::vector<death_record> directory::deaths() const {
  std::vector<death> copy;
  std::uint64_t total = 0;
  {
    std::lock_guard guard{deaths_mutex_};
    copy = deaths_;
    total = deaths_total_;
  }
  std::vector<death_record> out;
  out.reserve(copy.size());
  for (std::size_t i = 0; i < copy.size(); ++i) {
    auto& d = copy[(total - 1 - i) % copy.size()];
    d.record.reason = render(d.reason);
    out.push_back(std::move(d.record));
  }
  return out;
}

std::uint64_t directory::deaths_total() const {
  std::lock_guard guard{deaths_mutex_};
  return deaths_total_;
}

mailbox_totals directory::totals() const noexcept {
  return {dropped_.load(std::memory_order_relaxed), refused_.load(std::memory_order_relaxed)};
}

} // namespace ron::core
