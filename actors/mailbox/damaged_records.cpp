#include "mailbox/damaged_records.hpp"

#include "core/log.hpp"
#include "mailbox/layout.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace ron::mailbox {

namespace {

namespace lmdb = core::store;
using core::byte_view;
using core::result;

std::string_view text(byte_view v) noexcept {
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

std::string hex(byte_view v) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out;
  for (auto b : v) {
    out += digits[b >> 4];
    out += digits[b & 15];
  }
  return out;
}

/// Moves the record if it is still what was found.
result<void> move_aside(lmdb::transaction& t, lmdb::table in, byte_view key, byte_view name,
                        byte_view value) {
  const auto now = t.get(in, key);
  if (!now || !std::ranges::equal(*now, value))
    return {};
  if (auto ok = t.put(layout::damaged, name, value); !ok)
    return ok;
  if (in == layout::mail && t.get(layout::states, key)) // says nothing without its message
    if (auto ok = t.del(layout::states, key); !ok)
      return ok;
  return t.del(in, key);
}

} // namespace

void damaged_records::remember(const lmdb::read_view& view) {
  auto cursor = view.scan(layout::damaged);
  for (bool there = cursor.first(); there && known_.size() < known_max; there = cursor.next())
    note(std::string{text(cursor.key())});
}

void damaged_records::put(lmdb::writer& log, lmdb::table in, byte_view key, byte_view value) {
  std::vector<std::uint8_t> name{static_cast<std::uint8_t>(in)};
  name.insert(name.end(), key.begin(), key.end());
  if (note(std::string{text(name)}))
    core::log::error("mailbox", "a record is damaged on disk and was put aside; the rest goes on",
                     {{"table", layout::table_names().at(static_cast<std::size_t>(in))},
                      {"key", hex(key)},
                      {"bytes", value.size()}});
  lmdb::write_job job;
  job.frees = true;
  job.bytes = name.size() + value.size();
  job.apply = [in, name = std::move(name), own = std::vector(key.begin(), key.end()),
               copy = std::vector(value.begin(), value.end())](lmdb::transaction& t) {
    return move_aside(t, in, own, name, copy);
  };
  job.then = [](const result<void>& r) {
    if (!r)
      core::log::warn("mailbox", "a damaged record could not be moved",
                      {{"why", r.error().message}});
  };
  log.submit(std::move(job));
}

void damaged_records::put(lmdb::writer& log, const lmdb::log_damage& what) {
  const auto said = to_string(what);
  const auto name = lmdb::key::of(layout::damaged_log, what.first_lsn);
  if (note(std::string{text(name)}))
    core::log::error("mailbox",
                     "what was acknowledged is damaged on disk and lost; the rest goes on",
                     {{"what", said}});
  lmdb::write_job job;
  job.frees = true;
  job.apply = [name, said](lmdb::transaction& t) {
    return t.put(layout::damaged, name,
                 {reinterpret_cast<const std::uint8_t*>(said.data()), said.size()});
  };
  job.then = [](const result<void>& r) {
    if (!r)
      core::log::warn("mailbox", "a damage of the log could not be noted",
                      {{"why", r.error().message}});
  };
  log.submit(std::move(job));
}

std::size_t damaged_records::count() const {
  std::lock_guard guard{mutex_};
  return known_.size();
}

/// True for one that was not known.
bool damaged_records::note(std::string name) {
  std::lock_guard guard{mutex_};
  return known_.size() < known_max && known_.insert(std::move(name)).second;
}

} // namespace ron::mailbox
