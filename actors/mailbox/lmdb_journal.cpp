#include "mailbox/lmdb_journal.hpp"

#include "core/ids.hpp"
#include "core/sip_hash.hpp"
#include "core/store/logged_store.hpp"
#include "core/store/store_watch.hpp"
#include "mailbox/damaged_records.hpp"
#include "mailbox/layout.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <memory>
#include <span>
#include <utility>

namespace ron::mailbox {

namespace {

namespace lmdb = core::store;
using core::byte_view;
using core::ec;
using core::result;

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// A batch as the log keeps it.
struct encoded {
  lmdb::log_job job;
  std::size_t bytes = 0;
  std::size_t entries = 0;
};

encoded encode(const journal_batch& b, const layout::time_frame& at) {
  constexpr std::size_t about_a_change = 256; // without its payload
  std::size_t payloads = 0;
  for (const auto& c : b.changes)
    if (const auto* mail = std::get_if<keep_mail>(&c))
      payloads += mail->body->payload.size();
  encoded out;
  auto& steps = out.job.steps;
  steps.reserve(b.changes.size() * about_a_change + payloads);
  out.job.entries.reserve(b.ends.size());
  std::uint64_t seq = 0;
  std::size_t i = 0;
  for (const auto end : b.ends) {
    const auto start = steps.size();
    bool brings = false;
    for (; i < end; ++i) {
      layout::add_steps(steps, b.changes[i], at);
      if (const auto* mail = std::get_if<keep_mail>(&b.changes[i])) {
        brings = true;
        seq = std::max(seq, mail->seq);
      }
    }
    out.job.entries.push_back({steps.size(), brings ? steps.size() - start : 0});
  }
  if (seq != 0) // behind the last entry: harmless if that is refused
    layout::add_seq(steps, seq);
  out.bytes = steps.size();
  out.entries = b.ends.size();
  return out;
}

/// What was settled when the store was made, or last used.
struct founding {
  std::uint64_t seq = 0;
  core::sip_key topics;
};

class lmdb_journal final : public journal {
public:
  lmdb_journal(std::unique_ptr<lmdb::logged_store> db, const lmdb_journal_options& o, founding f,
               const core::clock& clock)
    : options_(o), founding_(f), clock_(clock), db_(std::move(db)) {
    for (const auto& d : db_->damages())
      aside_.put(db_->direct(), d);
    if (auto view = db_->env().wait_and_read())
      aside_.remember(*view);
  }

  using journal::write;
  void write(std::uint64_t, const journal_batch& b, batch_kept then) override {
    auto all = encode(b, layout::time_frame{clock_});
    pending_ += all.entries;
    pending_bytes_ += all.bytes;
    all.job.then = [this, bytes = all.bytes, entries = all.entries, then = std::move(then)](
                     result<void> r, std::span<const std::size_t> refused) mutable {
      pending_ -= entries;
      pending_bytes_ -= bytes;
      batch_outcome out{std::move(r)};
      for (const auto i : refused)
        out.refuse(i, {ec::store_quota, "the mailbox's store is full (lmdb.map-max)"});
      then(std::move(out));
    };
    db_->submit(std::move(all.job));
  }

  bool has_room() const override {
    return pending_ < options_.pending_max && pending_bytes_ < options_.pending_bytes_max;
  }

  result<journal_page> read(bucket_share of, const read_place& from) override {
    // A partition is read when everything it wrote has been told of, and writes nothing meanwhile.
    const auto call = watch_.enter(clock_.now());
    auto context = from.context;
    if (!context) {
      // With room on the disk nothing is left in the log; without it, what is left is read there.
      static_cast<void>(db_->settle());
      context = std::make_shared<const lmdb::pending_changes>(db_->pending(
        [of](const lmdb::log_step& s) { return s.to != layout::counters && holds(of, s.key); }));
    }
    auto view = db_->env().wait_and_read();
    if (!view)
      return std::unexpected{view.error()};
    const layout::time_frame at{clock_};
    journal_page page;
    page.next = from;
    if (!from.context)
      page.next.in = of.index;
    page.next.context = context;
    const auto& pending = *static_cast<const lmdb::pending_changes*>(context.get());
    std::size_t bytes = 0;
    std::size_t entries = 0;
    while (!page.next.done) {
      auto ok = read_bucket({*view, pending, at}, page, entries, bytes);
      if (!ok)
        return std::unexpected{ok.error()};
      if (!*ok)
        return page;
      page.next.last.clear();
      if (!std::exchange(page.next.sends, !page.next.sends))
        continue;
      page.next.in += of.count;
      page.next.done = page.next.in >= buckets;
    }
    return page;
  }

  bucket bucket_of(std::string_view topic) const noexcept override {
    return static_cast<bucket>(core::sip_hash_13(founding_.topics, text(topic)) % buckets);
  }
  std::uint64_t last_seq() const noexcept override { return founding_.seq; }
  std::size_t damaged() const override { return aside_.count(); }

  void maintain() override {
    db_->env().clear_stale_readers();
    const lmdb::write_progress writers[] = {lmdb::progress_of(db_->stats()),
                                            lmdb::progress_of(db_->direct().stats())};
    watch_.look(clock_.now(), writers, db_->env().path());
  }
  bool stalled() const noexcept override { return watch_.stalled(); }

  journal_stats stats() override {
    journal_stats out;
    if (!watch_.stalled()) // what asks the disk would wait with the others
      if (auto usage = db_->env().usage())
        out.map = *usage;
    out.writer = db_->direct().stats();
    out.log = db_->stats();
    return out;
  }

private:
  /// What a page is read from.
  struct page_source {
    const lmdb::read_view& view;
    const lmdb::pending_changes& pending;
    const layout::time_frame& at;
  };

  static bool holds(bucket_share of, byte_view key) noexcept {
    return key.size() >= sizeof(bucket) && lmdb::load<bucket>(key) % of.count == of.index;
  }

  /// Reads on in the bucket and table that `page.next` names. False when the page is full.
  result<bool> read_bucket(const page_source& from, journal_page& page, std::size_t& entries,
                           std::size_t& bytes) {
    auto& next = page.next;
    const auto in = static_cast<bucket>(next.in);
    const auto prefix = lmdb::key::of(in);
    lmdb::merged_cursor cursor{from.view, next.sends ? layout::sends : layout::mail, from.pending,
                               db_->end_value()};
    bool there = cursor.seek(next.last.empty() ? prefix.view() : byte_view{next.last});
    if (there && !next.last.empty() && std::ranges::equal(cursor.key(), next.last))
      there = cursor.next();
    for (; there && lmdb::starts_with(cursor.key(), prefix); there = cursor.next()) {
      if (entries >= page_entries_max || bytes >= page_bytes_max)
        return false;
      ++entries;
      bytes += cursor.value().size();
      auto ok = next.sends ? take_send(cursor, from.at, page, in) : take_mail(from, cursor, page);
      if (!ok)
        return std::unexpected{ok.error()};
      next.last.assign(cursor.key().begin(), cursor.key().end());
    }
    if (auto ok = cursor.status(); !ok)
      return std::unexpected{ok.error()};
    return true;
  }

  result<void> take_mail(const page_source& from, const lmdb::merged_cursor& cursor,
                         journal_page& page) {
    auto m = layout::decode_mail(cursor.key(), cursor.value(), from.at);
    if (!m) {
      aside_.put(db_->direct(), layout::mail, cursor.key(), cursor.value());
      return {};
    }
    if (auto ok = take_state(from, cursor.key(), *m); !ok)
      return ok;
    page.mail.push_back(std::move(*m));
    return {};
  }

  result<void> take_state(const page_source& from, byte_view key, stored_mail& m) {
    if (const auto* s = from.pending.find(layout::states, key)) {
      if (s->op == lmdb::log_op::remove)
        return {};
      const auto value = lmdb::ended_value(*s, db_->end_value());
      if (auto state = layout::decode_state(key, value, from.at))
        m.state = *state;
      return {};
    }
    const auto v = from.view.get(layout::states, key);
    if (!v)
      return v.error().code == ec::not_found ? result<void>{} : std::unexpected{v.error()};
    if (auto state = layout::decode_state(key, *v, from.at))
      m.state = *state;
    else
      aside_.put(db_->direct(), layout::states, key, *v);
    return {};
  }

  result<void> take_send(const lmdb::merged_cursor& cursor, const layout::time_frame& at,
                         journal_page& page, bucket in) {
    if (auto s = layout::decode_send(cursor.key(), cursor.value(), at))
      page.sends.emplace_back(in, std::move(*s));
    else
      aside_.put(db_->direct(), layout::sends, cursor.key(), cursor.value());
    return {};
  }

  const lmdb_journal_options options_;
  const founding founding_;
  const core::clock& clock_;
  damaged_records aside_;
  lmdb::store_watch watch_{"mailbox"};
  std::atomic<std::size_t> pending_{0};
  std::atomic<std::size_t> pending_bytes_{0};
  std::unique_ptr<lmdb::logged_store> db_; ///< last: tells until it goes
};

result<founding> load_founding(lmdb::environment& env) {
  auto view = env.wait_and_read();
  if (!view)
    return std::unexpected{view.error()};
  founding f;
  if (auto v = view->get(layout::counters, text(layout::seq_key)))
    f.seq = lmdb::load<std::uint64_t>(*v);
  else if (v.error().code != ec::not_found)
    return std::unexpected{v.error()};
  auto v = view->get(layout::counters, text("topics"));
  if (!v)
    return std::unexpected{v.error()};
  f.topics = {lmdb::load<std::uint64_t>(*v, 0), lmdb::load<std::uint64_t>(*v, 8)};
  return f;
}

/// As `load_founding`; a store that is new gets the key that spreads its topics.
result<founding> found(lmdb::logged_store& db) {
  auto f = load_founding(db.env());
  if (f)
    f->seq = std::max(f->seq, db.raised(layout::counters, text(layout::seq_key)));
  if (f || f.error().code != ec::not_found)
    return f;
  std::array<std::uint8_t, 16> key{};
  core::random_bytes(key);
  std::promise<result<void>> outcome;
  lmdb::write_job job;
  job.frees = true;
  job.apply = [key](lmdb::transaction& t) { return t.put(layout::counters, text("topics"), key); };
  job.then = [&outcome](result<void> r) { outcome.set_value(std::move(r)); };
  db.direct().submit(std::move(job));
  if (auto ok = outcome.get_future().get(); !ok)
    return std::unexpected{ok.error()};
  return load_founding(db.env());
}

} // namespace

// -- journal -------------------------------------------------------------------------------

result<void> batch_outcome::of(std::size_t i) const {
  if (!all_)
    return all_;
  const auto found
    = std::ranges::lower_bound(refused_, i, {}, [](const auto& r) { return r.first; });
  if (found == refused_.end() || found->first != i)
    return {};
  return std::unexpected{found->second};
}

void journal::write(std::uint64_t source, std::vector<change> changes, kept then) {
  journal_batch b;
  b.ends.push_back(changes.size());
  b.changes = std::move(changes);
  write(source, b, [then = std::move(then)](batch_outcome o) mutable { then(o.of(0)); });
}

std::expected<std::unique_ptr<journal>, lmdb::open_error>
open_lmdb_journal(const lmdb_journal_options& options, const core::clock& clock,
                  lmdb::faults* injected) {
  lmdb::logged_store_options o;
  o.environment.path = options.path;
  o.environment.map_bytes = options.map_bytes;
  o.environment.readers_max = options.readers_max;
  o.environment.tables = layout::table_names();
  o.environment.format = layout::format;
  o.environment.min_reader = layout::min_reader;
  // Older formats lie in the same tables, and `layout` knows their checks; 1 only had no log.
  o.environment.migrate = [](lmdb::transaction&, std::uint32_t) { return result<void>{}; };
  o.end_value = layout::seal;
  o.queue_jobs_max = 4 * options.pending_max;
  o.queue_bytes_max = 4 * options.pending_bytes_max;
  o.segment_bytes = options.log_segment_bytes;
  o.checkpoint_bytes = options.log_checkpoint_bytes;
  o.idle = options.log_idle;
  auto db = lmdb::logged_store::open(std::move(o), injected);
  if (!db)
    return std::unexpected{db.error()};
  auto f = found(**db);
  if (!f)
    return std::unexpected{lmdb::open_error{lmdb::open_failure::failed, f.error().message}};
  return std::make_unique<lmdb_journal>(std::move(*db), options, *f, clock);
}

} // namespace ron::mailbox
