#include "mailbox/lmdb_journal.hpp"

#include "core/ids.hpp"
#include "core/sip_hash.hpp"
#include "mailbox/damaged_records.hpp"
#include "mailbox/layout.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <memory>
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

result<void> forgive_missing(result<void> r) {
  return r || r.error().code == ec::not_found ? result<void>{} : r;
}

/// Sequence numbers come from one source and are committed in any order.
result<void> raise_seq(lmdb::transaction& t, std::uint64_t seq) {
  auto v = t.get(layout::counters, text("seq"));
  if (!v && v.error().code != ec::not_found)
    return std::unexpected{v.error()};
  if (v && lmdb::load<std::uint64_t>(*v) >= seq)
    return {};
  return t.put(layout::counters, text("seq"), lmdb::key::of(seq));
}

/// A batch on its way to the disk.
struct written {
  struct entry {
    std::size_t steps_end = 0;
    std::size_t bytes = 0;
    std::uint64_t seq = 0;  ///< the highest of its messages
    bool brings = false;    ///< a message: refused when the map is full of data
    bool refused = false;
  };
  layout::writes steps;
  std::vector<entry> entries;
  std::size_t bytes = 0;

  written(const journal_batch& b, const layout::time_frame& at);
  result<void> apply(lmdb::transaction& t);
  batch_outcome outcome(result<void> r) const;
};

written::written(const journal_batch& b, const layout::time_frame& at) {
  constexpr std::size_t about_a_change = 256; // without its payload
  std::size_t payloads = 0;
  for (const auto& c : b.changes)
    if (const auto* mail = std::get_if<keep_mail>(&c))
      payloads += mail->body.payload.size();
  steps.reserve(b.changes.size(), b.changes.size() * about_a_change + payloads);
  entries.reserve(b.ends.size());
  std::size_t i = 0;
  for (const auto end : b.ends) {
    entry e;
    for (; i < end; ++i) {
      steps.add(b.changes[i], at);
      if (const auto* mail = std::get_if<keep_mail>(&b.changes[i])) {
        e.brings = true;
        e.seq = std::max(e.seq, mail->seq);
      }
    }
    e.steps_end = steps.size();
    e.bytes = steps.bytes() - bytes;
    bytes = steps.bytes();
    entries.push_back(e);
  }
}

/// May run more than once.
result<void> written::apply(lmdb::transaction& t) {
  std::uint64_t seq = 0;
  std::size_t i = 0;
  for (auto& e : entries) {
    e.refused = e.brings && !t.claim(e.bytes);
    if (e.refused) {
      i = e.steps_end;
      continue;
    }
    seq = std::max(seq, e.seq);
    for (; i < e.steps_end; ++i) {
      const auto w = steps[i];
      auto ok = w.value ? t.put(w.to, w.key, *w.value) : forgive_missing(t.del(w.to, w.key));
      if (!ok)
        return ok;
    }
  }
  return seq == 0 ? result<void>{} : raise_seq(t, seq);
}

batch_outcome written::outcome(result<void> r) const {
  const bool kept = r.has_value();
  batch_outcome out{std::move(r)};
  for (std::size_t i = 0; kept && i < entries.size(); ++i)
    if (entries[i].refused)
      out.refuse(i, {ec::store_quota, "the mailbox's store is full (lmdb.map-max)"});
  return out;
}

/// What was settled when the store was made, or last used.
struct founding {
  std::uint64_t seq = 0;
  core::sip_key topics;
};

class lmdb_journal final : public journal {
public:
  lmdb_journal(std::unique_ptr<lmdb::environment> env, const lmdb_journal_options& o, founding f,
               const core::clock& clock, std::unique_ptr<lmdb::writer> log)
    : options_(o), founding_(f), clock_(clock), env_(std::move(env)), log_(std::move(log)) {
    if (auto view = env_->read())
      aside_.remember(*view);
  }

  using journal::write;
  void write(std::uint64_t source, const journal_batch& b, batch_kept then) override {
    auto all = std::make_shared<written>(b, layout::time_frame{clock_});
    const auto entries = all->entries.size();
    pending_ += entries;
    pending_bytes_ += all->bytes;
    lmdb::write_job job;
    job.source = source;
    job.bytes = all->bytes;
    job.callers = entries;
    job.frees = true; // what it brings is set against the room entry by entry
    job.apply = [all](lmdb::transaction& t) { return all->apply(t); };
    job.then = [this, all, then = std::move(then)](result<void> r) mutable {
      pending_ -= all->entries.size();
      pending_bytes_ -= all->bytes;
      then(all->outcome(std::move(r)));
    };
    log_->submit(std::move(job));
  }

  bool has_room() const override {
    return pending_ < options_.pending_max && pending_bytes_ < options_.pending_bytes_max;
  }

  result<journal_page> read(bucket_share of, const read_place& from) override {
    auto view = env_->wait_and_read();
    if (!view)
      return std::unexpected{view.error()};
    const layout::time_frame at{clock_};
    journal_page page;
    page.next = from;
    if (from.in == 0 && from.last.empty() && !from.sends)
      page.next.in = of.index;
    std::size_t bytes = 0;
    std::size_t entries = 0;
    while (!page.next.done) {
      auto ok = read_bucket(*view, at, page, entries, bytes);
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

  journal_stats stats() override {
    journal_stats out;
    if (auto usage = env_->usage())
      out.map = *usage;
    out.writer = log_->stats();
    return out;
  }

private:
  /// Reads on in the bucket and table that `page.next` names. False when the page is full.
  result<bool> read_bucket(const lmdb::read_view& view, const layout::time_frame& at,
                           journal_page& page, std::size_t& entries, std::size_t& bytes) {
    auto& next = page.next;
    const auto in = static_cast<bucket>(next.in);
    const auto prefix = lmdb::key::of(in);
    auto cursor = view.scan(next.sends ? layout::sends : layout::mail);
    bool there = cursor.seek(next.last.empty() ? prefix.view() : byte_view{next.last});
    if (there && !next.last.empty() && std::ranges::equal(cursor.key(), next.last))
      there = cursor.next();
    for (; there && lmdb::starts_with(cursor.key(), prefix); there = cursor.next()) {
      if (entries >= page_entries_max || bytes >= page_bytes_max)
        return false;
      ++entries;
      bytes += cursor.value().size();
      auto ok = next.sends ? take_send(cursor, at, page, in) : take_mail(view, cursor, at, page);
      if (!ok)
        return std::unexpected{ok.error()};
      next.last.assign(cursor.key().begin(), cursor.key().end());
    }
    if (auto ok = cursor.status(); !ok)
      return std::unexpected{ok.error()};
    return true;
  }

  result<void> take_mail(const lmdb::read_view& view, const lmdb::cursor& cursor,
                         const layout::time_frame& at, journal_page& page) {
    auto m = layout::decode_mail(cursor.key(), cursor.value(), at);
    if (!m) {
      aside_.put(*log_, layout::mail, cursor.key(), cursor.value());
      return {};
    }
    if (auto v = view.get(layout::states, cursor.key())) {
      if (auto s = layout::decode_state(cursor.key(), *v, at))
        m->state = *s;
      else
        aside_.put(*log_, layout::states, cursor.key(), *v);
    } else if (v.error().code != ec::not_found) {
      return std::unexpected{v.error()};
    }
    page.mail.push_back(std::move(*m));
    return {};
  }

  result<void> take_send(const lmdb::cursor& cursor, const layout::time_frame& at,
                         journal_page& page, bucket in) {
    if (auto s = layout::decode_send(cursor.key(), cursor.value(), at))
      page.sends.emplace_back(in, std::move(*s));
    else
      aside_.put(*log_, layout::sends, cursor.key(), cursor.value());
    return {};
  }

  const lmdb_journal_options options_;
  const founding founding_;
  const core::clock& clock_;
  damaged_records aside_;
  std::atomic<std::size_t> pending_{0};
  std::atomic<std::size_t> pending_bytes_{0};
  std::unique_ptr<lmdb::environment> env_;
  std::unique_ptr<lmdb::writer> log_; ///< last: stops before the environment goes
};

result<founding> load_founding(lmdb::environment& env) {
  auto view = env.read();
  if (!view)
    return std::unexpected{view.error()};
  founding f;
  if (auto v = view->get(layout::counters, text("seq")))
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
result<founding> found(lmdb::environment& env, lmdb::writer& log) {
  auto f = load_founding(env);
  if (f || f.error().code != ec::not_found)
    return f;
  std::array<std::uint8_t, 16> key{};
  core::random_bytes(key);
  std::promise<result<void>> outcome;
  lmdb::write_job job;
  job.frees = true;
  job.apply = [key](lmdb::transaction& t) { return t.put(layout::counters, text("topics"), key); };
  job.then = [&outcome](result<void> r) { outcome.set_value(std::move(r)); };
  log.submit(std::move(job));
  if (auto ok = outcome.get_future().get(); !ok)
    return std::unexpected{ok.error()};
  return load_founding(env);
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
  lmdb::environment_options o;
  o.path = options.path;
  o.map_bytes = options.map_bytes;
  o.readers_max = options.readers_max;
  o.tables = layout::table_names();
  o.format = layout::format;
  o.min_reader = layout::min_reader;
  auto env = lmdb::environment::open(std::move(o));
  if (!env)
    return std::unexpected{env.error()};
  lmdb::writer_limits limits;
  limits.queue.jobs_max = 4 * options.pending_max;
  limits.queue.bytes_max = 4 * options.pending_bytes_max;
  auto log = std::make_unique<lmdb::writer>(**env, limits, injected);
  auto f = found(**env, *log);
  if (!f)
    return std::unexpected{lmdb::open_error{lmdb::open_failure::failed, f.error().message}};
  return std::make_unique<lmdb_journal>(std::move(*env), options, *f, clock, std::move(log));
}

} // namespace ron::mailbox
