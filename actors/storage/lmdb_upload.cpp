#include "storage/lmdb_upload.hpp"

#include "storage/lmdb_layout.hpp"
#include "storage/replication_table.hpp"

#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace ron::storage {

using core::ec;
using core::fail;
using core::result;
using core::store::key;
using core::store::transaction;
using core::store::write_job;

void lmdb_parts::note(const result<void>& written) const noexcept {
  auto code = written ? ec::none : written.error().code;
  if (code == ec::none)
    count.writable.store(true, std::memory_order_relaxed);
  else if (code == ec::disk_full || code == ec::degraded)
    count.writable.store(false, std::memory_order_relaxed);
}

void lmdb_parts::ended(const hold_end& e) const {
  if (e.lost)
    counters::bump(count.releases_lost);
  if (e.freed == 0)
    return;
  room.give_back(e.freed);
  counters::drop(count.objects);
  counters::drop(count.bytes, e.freed);
  loose.kick();
}

/// The number of an upload and the room it has taken. The upload and all of its write jobs share
/// it: when the last of them has gone, nothing can write under the number any more, and what lies
/// there without a record may be collected. Touched by one thread at a time: first the upload's,
/// then, through the queue, the writer's.
struct lmdb_upload::claim {
  explicit claim(const lmdb_parts& p) : parts(p), number(p.loose.open()) {
    counters::bump(parts.count.puts_open);
  }
  claim(const claim&) = delete;
  claim& operator=(const claim&) = delete;
  ~claim() {
    parts.room.give_back(taken);
    parts.loose.close(number, loose);
    counters::drop(parts.count.puts_open);
    if (!succeeded)
      counters::bump(parts.count.puts_failed);
  }

  lmdb_parts parts;
  std::uint64_t number;
  std::uint64_t taken = 0;
  bool loose = false;     ///< chunks may lie under the number without a record
  bool succeeded = false;

  /// Keeps why the first group was not stored: what came after it fails for lack of it, and the
  /// caller wants to know the cause. Any thread, because a full queue refuses on the caller's.
  void keep(const core::error& e) {
    std::lock_guard guard{mutex};
    if (!cause)
      cause = e;
  }
  core::error cause_of(core::error e) {
    std::lock_guard guard{mutex};
    return cause ? *cause : std::move(e);
  }

  std::mutex mutex;
  std::optional<core::error> cause;
};

namespace {

/// Groups of an upload that are stored; 0 if none.
result<std::uint32_t> stored_groups(transaction& t, std::uint64_t number) {
  auto v = t.get(layout::loose, key::of(number));
  if (v)
    return core::store::load<std::uint32_t>(*v);
  if (v.error().code == ec::not_found)
    return 0u;
  return std::unexpected{v.error()};
}

/// Fails unless exactly the first `group` groups are stored.
result<void> expect_groups(transaction& t, std::uint64_t number, std::uint64_t group) {
  auto stored = stored_groups(t, number);
  if (!stored)
    return std::unexpected{stored.error()};
  if (*stored != group)
    return fail(ec::busy, "storage: an earlier part of the upload was not stored", 1'000);
  return {};
}

struct piece {
  std::uint64_t number = 0;
  std::uint64_t group = 0;
  core::bytes data;
  std::uint64_t first_page = 0;
  std::vector<core::bytes> pages;

  std::size_t bytes() const noexcept {
    return data.size() + pages.size() * layout::node_page_bytes;
  }
};

result<void> put_piece(transaction& t, const piece& p) {
  if (auto ok = t.put(layout::chunks, layout::chunk_key(p.number, p.group), p.data.view()); !ok)
    return ok;
  for (std::size_t i = 0; i < p.pages.size(); ++i)
    if (auto ok = t.put(layout::outboard, layout::chunk_key(p.number, p.first_page + i),
                        p.pages[i].view());
        !ok)
      return ok;
  return {};
}

result<void> put_group(transaction& t, const piece& p) {
  if (auto ok = expect_groups(t, p.number, p.group); !ok)
    return ok;
  auto stored = static_cast<std::uint32_t>(p.group + 1);
  if (auto ok = t.put(layout::loose, key::of(p.number), key::of(stored)); !ok)
    return ok;
  return put_piece(t, p);
}

/// What a commit was asked for and what it came to.
struct commit_work {
  piece last;
  core::cid cid;
  std::uint64_t size = 0;
  core::tenant holder;
  std::int64_t now_ms = 0;
  origin from = origin::put;
  bool replicated = false;

  bool held = false;     ///< the tenant held it before
  bool kept = false;     ///< the record names our number now
  bool replaced = false; ///< ... and named a quarantined one before
};

/// An object that becomes one of this node's own has to be copied, though bytes of it may have been
/// here for other nodes.
result<void> note_if_new(transaction& t, const commit_work& w) {
  if (!w.replicated)
    return {};
  auto own = layout::is_own(t, w.cid);
  if (!own)
    return std::unexpected{own.error()};
  return *own ? result<void>{} : layout::note_copy(t, w.cid);
}

result<void> put_holder(transaction& t, commit_work& w, layout::record& r) {
  if (auto ok = note_if_new(t, w); !ok)
    return ok;
  auto k = layout::holder_key(w.cid, w.holder);
  auto before = t.get(layout::holders, k);
  if (!before && before.error().code != ec::not_found)
    return std::unexpected{before.error()};
  w.held = before.has_value();
  r.holders += w.held ? 0 : 1;
  r.last_put_ms = w.now_ms;
  const auto value = layout::hold_value(w.now_ms, w.from == origin::replica);
  if (auto ok = t.put(layout::holders, k, value); !ok)
    return ok;
  return layout::save(t, w.cid, r);
}

result<void> recount(transaction& t, const core::cid& c, layout::record& r) {
  auto n = layout::count_holders(t, c);
  if (!n)
    return std::unexpected{n.error()};
  r.holders = *n;
  return {};
}

result<void> put_record(transaction& t, commit_work& w) {
  w.kept = w.replaced = false;
  if (auto ok = expect_groups(t, w.last.number, w.last.group); !ok)
    return ok;
  auto old = layout::load(t, w.cid);
  const bool damaged = !old && old.error().code == ec::bad_digest;
  if (!old && !damaged && old.error().code != ec::not_found)
    return std::unexpected{old.error()};
  if (w.from == origin::repair && !old && !damaged)
    return fail(ec::not_found, "the object to be repaired is gone");
  if (old && old->state == object_state::complete) {
    w.held = true;
    return w.from == origin::repair ? result<void>{} : put_holder(t, w, *old);
  }
  w.kept = true;
  w.replaced = old || damaged;
  if (auto ok = put_piece(t, w.last); !ok)
    return ok;
  if (w.last.group > 0)
    if (auto ok = t.del(layout::loose, key::of(w.last.number)); !ok)
      return ok;
  auto r = old ? *old : layout::record{};
  result<void> accounted;
  if (old)
    accounted = t.put(layout::loose, key::of(old->number), key::of(0u));
  else if (damaged) // which chunks were its own, and how many pins it had, nobody can say
    accounted = recount(t, w.cid, r);
  else
    accounted = layout::add_to_sums(t, 1, cost_of(w.size));
  if (!accounted)
    return accounted;
  r.number = w.last.number;
  r.size = w.size;
  r.state = object_state::complete;
  return w.from == origin::repair ? layout::save(t, w.cid, r) : put_holder(t, w, r);
}

} // namespace

lmdb_upload::lmdb_upload(const lmdb_parts& parts, origin from)
  : parts_(parts), from_(from), claim_(std::make_shared<claim>(parts)) {
  // nop
}

lmdb_upload::~lmdb_upload() = default;

bool lmdb_upload::take(std::uint64_t n) {
  if (!parts_.room.take(n))
    return false;
  claim_->taken += n;
  return true;
}

/// Cuts whole pages off the nodes that came so far; with `all` the last, shorter one, too.
std::vector<core::bytes> lmdb_upload::take_pages(std::vector<std::uint8_t> nodes, bool all) {
  std::vector<core::bytes> out;
  nodes_.insert(nodes_.end(), nodes.begin(), nodes.end());
  std::size_t at = 0;
  for (; nodes_.size() - at >= layout::node_page_bytes; at += layout::node_page_bytes)
    out.push_back(core::bytes::copy(core::byte_view{nodes_}.subspan(at, layout::node_page_bytes)));
  if (all && at < nodes_.size()) {
    out.push_back(core::bytes::copy(core::byte_view{nodes_}.subspan(at)));
    at = nodes_.size();
  }
  nodes_.erase(nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(at));
  return out;
}

namespace {

std::unexpected<core::error> full(const budget& room) {
  return fail(ec::store_quota, "the store holds " + std::to_string(room.max())
                                 + " bytes at most (storage.quota)");
}

} // namespace

void lmdb_upload::add(full_group group, outcome<void> then) {
  if (!take(group.data.size()))
    return then(full(parts_.room));
  piece p{claim_->number, groups_++, std::move(group.data), pages_,
          take_pages(std::move(group.nodes), false)};
  pages_ += p.pages.size();
  claim_->loose = true;
  write_job job;
  job.source = p.number;
  job.bytes = p.bytes();
  job.apply = [p = std::move(p)](transaction& t) { return put_group(t, p); };
  counters::bump(parts_.count.pending, job.bytes);
  job.then = [c = claim_, n = job.bytes, then = std::move(then)](result<void> r) mutable {
    c->parts.note(r);
    counters::drop(c->parts.count.pending, n);
    if (!r)
      c->keep(r.error());
    then(std::move(r));
  };
  parts_.log.submit(std::move(job));
}

void lmdb_upload::commit(finished_upload last, const core::tenant& holder,
                         outcome<put_result> then) {
  if (!take(cost_of(last.last.size())))
    return then(full(parts_.room));
  auto w = std::make_shared<commit_work>();
  w->last = {claim_->number, groups_, std::move(last.last), pages_,
             take_pages(std::move(last.nodes), true)};
  w->cid = last.cid;
  w->size = last.size;
  w->holder = holder;
  w->now_ms = parts_.clock.wall_ms();
  w->from = from_;
  w->replicated = from_ == origin::put && parts_.notes.copies;
  write_job job;
  job.source = claim_->number;
  job.bytes = w->last.bytes() + 512;
  job.apply = [w](transaction& t) { return put_record(t, *w); };
  counters::bump(parts_.count.pending, job.bytes);
  job.then = [w, c = claim_, n = job.bytes, then = std::move(then)](result<void> r) mutable {
    c->parts.note(r);
    counters::drop(c->parts.count.pending, n);
    if (!r)
      return then(std::unexpected{c->cause_of(std::move(r.error()))});
    c->succeeded = true;
    auto& count = c->parts.count;
    counters::bump(count.puts);
    counters::bump(count.bytes_in, w->size);
    if (w->kept) {
      c->loose = w->replaced; // the old number's chunks
      if (w->last.group == 0)
        c->parts.cache.put(c->number, 0, w->last.data);
    }
    if (w->kept && !w->replaced) {
      c->taken = 0;
      counters::bump(count.objects);
      counters::bump(count.bytes, cost_of(w->size));
    }
    then(put_result{w->cid, w->size, w->held});
  };
  parts_.log.submit(std::move(job));
}

} // namespace ron::storage
