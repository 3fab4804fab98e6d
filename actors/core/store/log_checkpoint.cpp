#include "core/store/log_checkpoint.hpp"

#include "core/store/key.hpp"

#include <algorithm>
#include <utility>

namespace ron::core::store {

namespace {

/// Writes the end of a value behind it.
void put_end(std::uint64_t end, std::span<std::uint8_t> to) noexcept {
  std::ranges::copy(key::of(end).view(), to.begin());
}

result<void> raise(transaction& t, const log_step& s) {
  const auto there = t.get(s.to, s.key);
  if (!there && there.error().code != ec::not_found)
    return std::unexpected{there.error()};
  if (there && load<std::uint64_t>(*there) >= load<std::uint64_t>(s.value))
    return {};
  return t.put(s.to, s.key, s.value);
}

} // namespace

std::vector<std::uint8_t> ended_value(const log_step& s, const value_end& end) {
  std::vector<std::uint8_t> out(s.value.begin(), s.value.end());
  if (const auto e = end ? end(s) : std::nullopt) {
    out.resize(out.size() + sizeof *e);
    put_end(*e, std::span{out}.last<sizeof *e>());
  }
  return out;
}

/// The value and its end go straight into their page.
result<void> log_checkpoint::put(table_writer& to, const log_step& s) const {
  const auto end = source_.end_value ? source_.end_value(s) : std::nullopt;
  const auto room = to.put(s.key, s.value.size() + (end ? sizeof *end : 0));
  if (!room)
    return std::unexpected{room.error()};
  std::ranges::copy(s.value, room->begin());
  if (end)
    put_end(*end, room->last(sizeof *end));
  return {};
}

result<void> log_checkpoint::make(transaction& t, std::optional<table_writer>& at,
                                  const log_step& s) {
  if (s.op == log_op::raise)
    return raise(t, s);
  if (!at || at->of() != s.to)
    at.emplace(t, s.to);
  if (s.op != log_op::remove)
    return put(*at, s);
  auto gone = at->del(s.key);
  return gone || gone.error().code == ec::not_found ? result<void>{} : gone;
}

const net_changes& log_checkpoint::changes() {
  if (!changes_) {
    std::vector<byte_view> payloads;
    each_payload([&](byte_view p) { payloads.push_back(p); });
    changes_ = std::make_unique<net_changes>(payloads, source_.trust_fresh);
  }
  return *changes_;
}

void log_checkpoint::run(environment& env, writer& to, std::function<void(result<void>)> then) {
  then_ = std::move(then);
  from_ = 0; // a part that is there already is made again and changes nothing
  steps_max_ = slice_steps;
  submit(env, to);
}

void log_checkpoint::submit(environment& env, writer& to) {
  write_job job;
  job.frees = true; // what it brings was set against the room when it was accepted
  job.apply = [me = shared_from_this(), meta = env.meta()](transaction& t) {
    return me->apply(t, meta);
  };
  job.then = [me = shared_from_this(), &env, &to](result<void> r) {
    if (!r && r.error().code == ec::store_quota && me->next_ - me->from_ > 1) {
      me->steps_max_ = std::max<std::size_t>((me->next_ - me->from_) / 4, 1);
      return me->submit(env, to);
    }
    if (r)
      me->from_ = me->next_;
    if (r && me->from_ < me->changes().all().size())
      return me->submit(env, to);
    std::exchange(me->then_, {})(std::move(r));
  };
  to.submit(std::move(job));
}

result<void> log_checkpoint::apply(transaction& t, table meta) {
  const auto all = changes().all();
  std::size_t bytes = 0;
  next_ = from_;
  std::optional<table_writer> at;
  while (next_ < all.size() && next_ - from_ < steps_max_ && bytes < slice_bytes) {
    const auto& s = all[next_++];
    bytes += s.key.size() + s.value.size();
    if (auto ok = make(t, at, s); !ok)
      return ok;
  }
  if (next_ < all.size())
    return {};
  const byte_view name{reinterpret_cast<const std::uint8_t*>(log_place_key.data()),
                       log_place_key.size()};
  return t.put(meta, name, key::of(source_.id, source_.last_lsn));
}

} // namespace ron::core::store
