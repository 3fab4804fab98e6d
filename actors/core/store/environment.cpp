#include "core/store/environment.hpp"

#include "core/log.hpp"
#include "core/store/copy.hpp"
#include "core/store/files.hpp"
#include "core/store/key.hpp"
#include "core/store/lmdb_error.hpp"

#include <lmdb.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#include <sys/stat.h>

namespace ron::core::store {

namespace {

constexpr std::string_view format_key = "format";
constexpr std::string_view min_reader_key = "min_reader";

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::unexpected<open_error> open_fail(open_failure kind, std::string message) {
  return std::unexpected<open_error>{open_error{kind, std::move(message)}};
}

std::unexpected<open_error> open_fail_errno(const std::string& what, int code) {
  return open_fail(open_failure::failed, what + ": " + ::mdb_strerror(code));
}

/// LMDB ends the process when it finds that its file contradicts itself. Somebody should know why.
void say_why(MDB_env* env, const char* what) {
  const char* path = "";
  ::mdb_env_get_path(env, &path);
  log::error("store",
             "the file of a store is damaged and LMDB ends the process; run: ronctl store verify "
               + std::filesystem::path{path}.parent_path().string(),
             {{"store", path}, {"what", what}});
}

/// A write transaction that is aborted unless it was committed.
class scoped_txn {
public:
  explicit scoped_txn(MDB_env* env) noexcept : rc_(::mdb_txn_begin(env, nullptr, 0, &txn_)) {}
  scoped_txn(const scoped_txn&) = delete;
  scoped_txn& operator=(const scoped_txn&) = delete;
  ~scoped_txn() {
    if (txn_ != nullptr)
      ::mdb_txn_abort(txn_);
  }
  int rc() const noexcept { return rc_; }
  MDB_txn* get() const noexcept { return txn_; }
  int commit() noexcept { return ::mdb_txn_commit(std::exchange(txn_, nullptr)); }

private:
  MDB_txn* txn_ = nullptr;
  int rc_;
};

} // namespace

environment::environment(environment_options options) : options_(std::move(options)) {
  idle_.reserve(options_.readers_max);
}

environment::~environment() {
  close_env();
}

std::expected<std::unique_ptr<environment>, open_error>
environment::open(environment_options options) {
  std::unique_ptr<environment> out{new environment(std::move(options))};
  if (auto ok = out->lock_folder(); !ok)
    return std::unexpected{ok.error()};
  if (auto ok = out->open_env(); !ok)
    return std::unexpected{ok.error()};
  if (auto ok = out->check_format(); !ok)
    return std::unexpected{ok.error()};
  const auto& path = out->options_.path;
  auto parent = std::filesystem::path{path}.parent_path().string();
  for (const auto& folder : {path, parent.empty() ? std::string{"."} : parent})
    if (auto rc = sync_path(folder); rc != 0)
      return open_fail_errno("cannot sync " + folder, rc);
  out->clear_stale_readers();
  return out;
}

std::expected<void, open_error> environment::lock_folder() {
  const auto& path = options_.path;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return open_fail_errno("cannot make " + path, errno);
  auto lock = file_lock::take(path + "/" + owner_lock_name, file_lock::mode::exclusive);
  if (lock) {
    lock_.emplace(std::move(*lock));
    return {};
  }
  if (lock.error() == EWOULDBLOCK)
    return open_fail(open_failure::in_use, path + " is in use by another process");
  return open_fail_errno("cannot lock " + path + "/" + owner_lock_name, lock.error());
}

std::expected<void, open_error> environment::open_env() {
  const auto& path = options_.path;
  auto step = [&](const char* what, int rc) -> std::expected<void, open_error> {
    if (rc == 0)
      return {};
    close_env();
    return open_fail_errno(path + ": cannot " + what, rc);
  };
  if (auto ok = step("make an environment", ::mdb_env_create(&env_)); !ok)
    return ok;
  if (auto ok = step("set the map size", ::mdb_env_set_mapsize(env_, options_.map_bytes)); !ok)
    return ok;
  auto readers = options_.readers_max + counting_readers + guest_readers;
  if (auto ok = step("set the readers", ::mdb_env_set_maxreaders(env_, readers)); !ok)
    return ok;
  auto tables = static_cast<MDB_dbi>(options_.tables.size() + 1);
  if (auto ok = step("set the tables", ::mdb_env_set_maxdbs(env_, tables)); !ok)
    return ok;
  // Reader slots belong to transactions, not to threads: views move with the work.
  if (auto ok = step("open", ::mdb_env_open(env_, path.c_str(), MDB_NOTLS, 0600)); !ok)
    return ok;
  ::mdb_env_set_assert(env_, say_why);
  int fd = -1;
  if (::mdb_env_get_fd(env_, &fd) == 0)
    file_ = mapped_file::of(fd);
  if (!options_.read_around)
    file_.read_nothing_else();
  MDB_stat stat{};
  if (auto ok = step("ask for the page size", ::mdb_env_stat(env_, &stat)); !ok)
    return ok;
  warm_.set(file_, stat.ms_psize);
  scoped_txn txn{env_};
  if (auto ok = step("begin", txn.rc()); !ok)
    return ok;
  dbis_.clear();
  for (std::size_t i = 0; i <= options_.tables.size(); ++i) {
    const char* name = i < options_.tables.size() ? options_.tables[i].c_str() : "meta";
    MDB_dbi dbi = 0;
    if (auto rc = ::mdb_dbi_open(txn.get(), name, MDB_CREATE, &dbi); rc != 0)
      return open_fail_errno(path + ": cannot open table " + name, rc);
    dbis_.push_back(dbi);
  }
  if (auto ok = step("commit", txn.commit()); !ok)
    return ok;
  count_free_pages();
  return {};
}

// -- format -----------------------------------------------------------------------------------

std::expected<void, open_error> environment::write_format(transaction& t) {
  auto ok = t.put(meta(), text(format_key), key::of(options_.format));
  if (ok)
    ok = t.put(meta(), text(min_reader_key), key::of(options_.min_reader));
  if (!ok)
    return open_fail(open_failure::failed, ok.error().message);
  return {};
}

std::expected<void, open_error> environment::check_format() {
  std::uint32_t stored = 0;
  std::uint32_t needed = 0;
  {
    scoped_txn txn{env_};
    if (txn.rc() != 0)
      return open_fail_errno(options_.path + ": cannot begin", txn.rc());
    map_room unlimited;
    transaction t{dbis_, txn.get(), unlimited};
    auto format = t.get(meta(), text(format_key));
    if (!format && format.error().code != ec::not_found)
      return open_fail(open_failure::failed, format.error().message);
    if (!format) {
      if (auto ok = write_format(t); !ok)
        return ok;
      if (auto rc = txn.commit(); rc != 0)
        return open_fail_errno(options_.path + ": cannot commit", rc);
      return {};
    }
    stored = load<std::uint32_t>(*format);
    auto min_reader = t.get(meta(), text(min_reader_key));
    needed = min_reader ? load<std::uint32_t>(*min_reader) : stored;
  }
  if (needed > options_.format)
    return open_fail(open_failure::too_new,
                     options_.path + " has format " + std::to_string(stored)
                       + ", which needs a program that reads format " + std::to_string(needed)
                       + "; this one reads up to " + std::to_string(options_.format));
  if (stored < options_.format)
    return migrate_from(stored);
  return {};
}

std::expected<void, open_error> environment::migrate_from(std::uint32_t old_format) {
  namespace fs = std::filesystem;
  if (!options_.migrate)
    return open_fail(open_failure::failed, options_.path + " has format "
                                             + std::to_string(old_format)
                                             + ", which this program cannot bring up to date");
  // The copy gets its name when it is complete: a name that is there is a copy that can be used.
  auto copy = options_.path + "/before-" + std::to_string(old_format);
  auto partial = copy + ".partial";
  std::error_code error;
  if (!fs::exists(copy, error)) {
    fs::remove_all(partial, error);
    if (::mkdir(partial.c_str(), 0700) != 0)
      return open_fail_errno("cannot make " + partial, errno);
    if (auto ok = copy_log(options_.path, partial); !ok)
      return open_fail(open_failure::failed, "cannot copy to " + partial + ": "
                                               + ok.error().message);
    if (auto rc = ::mdb_env_copy2(env_, partial.c_str(), MDB_CP_COMPACT); rc != 0)
      return open_fail_errno("cannot copy to " + partial, rc);
    if (auto rc = sync_path(partial + "/data.mdb"); rc != 0)
      return open_fail_errno("cannot sync " + partial, rc);
    fs::rename(partial, copy, error);
    if (error)
      return open_fail(open_failure::failed, "cannot rename " + partial + ": " + error.message());
    for (const auto& folder : {copy, options_.path})
      if (auto rc = sync_path(folder); rc != 0)
        return open_fail_errno("cannot sync " + folder, rc);
  }
  scoped_txn txn{env_};
  if (txn.rc() != 0)
    return open_fail_errno(options_.path + ": cannot begin", txn.rc());
  map_room unlimited;
  transaction t{dbis_, txn.get(), unlimited};
  if (auto ok = options_.migrate(t, old_format); !ok)
    return open_fail(open_failure::failed, options_.path + ": migration from format "
                                             + std::to_string(old_format)
                                             + " failed: " + ok.error().message);
  if (auto ok = write_format(t); !ok)
    return ok;
  if (auto rc = txn.commit(); rc != 0)
    return open_fail_errno(options_.path + ": cannot commit", rc);
  return {};
}

// -- reopening --------------------------------------------------------------------------------

void environment::close_env() noexcept {
  for (auto* txn : idle_)
    ::mdb_txn_abort(txn);
  idle_.clear();
  file_ = {};
  warm_.set(file_, 0);
  if (env_ != nullptr)
    ::mdb_env_close(std::exchange(env_, nullptr));
}

result<void> environment::reopen() {
  reopening_.store(true);
  for (auto n = active_.load(); n != 0; n = active_.load())
    active_.wait(n);
  close_env();
  auto ok = open_env();
  reopening_.store(false);
  reopening_.notify_all();
  if (!ok)
    return fail(ec::degraded, "store: " + ok.error().message);
  return {};
}

// -- views ------------------------------------------------------------------------------------

namespace {

/// Pages 0 and 1, one of which describes the last commit: where every view begins.
bool can_begin(warm_pages& pages) noexcept {
  return pages.at(0) != nullptr && pages.at(1) != nullptr;
}

} // namespace

bool environment::enter() noexcept {
  active_.fetch_add(1);
  if (!reopening_.load())
    return true;
  leave();
  return false;
}

void environment::leave() noexcept {
  if (active_.fetch_sub(1) == 1 && reopening_.load())
    active_.notify_all();
}

result<read_view> environment::read() {
  if (!enter())
    return fail(ec::busy, "store: being reopened", 100);
  if (env_ != nullptr && !can_begin(warm_)) {
    leave();
    return fail(ec::busy, "store: its file is not in memory", 100);
  }
  auto out = lease(options_.readers_max);
  if (!out)
    leave();
  return out;
}

result<read_view> environment::wait_and_read() {
  while (!enter())
    reopening_.wait(true);
  auto out = lease(options_.readers_max);
  if (!out)
    leave();
  return out;
}

result<read_view> environment::lease(std::uint32_t leased_max) {
  if (env_ == nullptr)
    return fail(ec::degraded, "store: " + options_.path + " is closed", 1'000);
  MDB_txn* txn = nullptr;
  {
    std::lock_guard guard{idle_mutex_};
    if (!idle_.empty()) {
      txn = idle_.back();
      idle_.pop_back();
    } else if (leased_ >= leased_max) {
      return fail(ec::busy, "store: all reader slots are taken", 100);
    }
    ++leased_;
  }
  auto rc = txn != nullptr ? ::mdb_txn_renew(txn)
                           : ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (rc == 0)
    return read_view{this, txn};
  if (txn != nullptr)
    ::mdb_txn_abort(txn);
  std::lock_guard guard{idle_mutex_};
  --leased_;
  return lmdb_fail(rc, "read");
}

void environment::give_back(MDB_txn* txn) noexcept {
  ::mdb_txn_reset(txn);
  {
    std::lock_guard guard{idle_mutex_};
    idle_.push_back(txn); // room for all was reserved
    --leased_;
  }
  leave();
}

// -- usage ------------------------------------------------------------------------------------

namespace {

/// A transaction that reads, outside of those that views are made of.
class scoped_view {
public:
  explicit scoped_view(MDB_env* env) noexcept
    : rc_(::mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn_)) {}
  scoped_view(const scoped_view&) = delete;
  scoped_view& operator=(const scoped_view&) = delete;
  ~scoped_view() {
    if (rc_ == 0)
      ::mdb_txn_abort(txn_);
  }
  MDB_txn* get() const noexcept { return rc_ == 0 ? txn_ : nullptr; }

private:
  MDB_txn* txn_ = nullptr;
  int rc_;
};

/// Sums up LMDB's own list of free pages, table 0: transaction -> count, page numbers. It can only
/// be read in a transaction that does not write. Of more than `records_max` records the others are
/// taken to be like these.
std::uint64_t free_pages(MDB_txn* txn, std::size_t records_max) noexcept {
  std::uint64_t sum = 0;
  MDB_stat list{};
  MDB_cursor* c = nullptr;
  if (::mdb_stat(txn, 0, &list) != 0 || ::mdb_cursor_open(txn, 0, &c) != 0)
    return 0;
  MDB_val k{};
  MDB_val v{};
  std::size_t last = 0;
  std::size_t seen = 0;
  for (; seen < records_max && ::mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0; ++seen) {
    std::size_t id = 0; // of the transaction
    std::memcpy(&id, k.mv_data, sizeof id);
    if (id <= std::exchange(last, id))
      break; // a damaged tree may lead in a circle
    std::size_t n = 0;
    std::memcpy(&n, v.mv_data, sizeof n);
    sum += n;
  }
  ::mdb_cursor_close(c);
  if (seen != 0 && seen == records_max && list.ms_entries > seen)
    return static_cast<std::uint64_t>(static_cast<double>(sum) / static_cast<double>(seen)
                                      * static_cast<double>(list.ms_entries));
  return sum;
}

} // namespace

bool environment::count_free_pages(std::size_t records_max) noexcept {
  const scoped_view view{env_};
  if (view.get() == nullptr)
    return false;
  free_pages_.store(free_pages(view.get(), records_max), std::memory_order_relaxed);
  return true;
}

result<environment_usage> environment::usage() {
  if (!enter())
    return fail(ec::busy, "store: being reopened", 100);
  result<void> known;
  if (env_ == nullptr)
    known = fail(ec::degraded, "store: " + options_.path + " is closed", 1'000);
  else if (!can_begin(warm_)) // whoever asks for figures does not ask the disk
    known = fail(ec::busy, "store: its file is not in memory", 100);
  environment_usage out;
  if (known) {
    MDB_envinfo info{};
    MDB_stat stat{};
    ::mdb_env_info(env_, &info);
    ::mdb_env_stat(env_, &stat);
    const auto pages = static_cast<std::uint64_t>(info.me_last_pgno) + 1;
    const auto unused = std::min(pages, free_pages_.load(std::memory_order_relaxed));
    out.map_bytes = info.me_mapsize;
    out.file_bytes = pages * stat.ms_psize;
    out.used_bytes = (pages - unused) * stat.ms_psize;
    out.readers = info.me_numreaders;
    out.readers_max = info.me_maxreaders;
  }
  leave();
  if (!known)
    return std::unexpected{known.error()};
  return out;
}

std::uint64_t environment::room_for_data(std::size_t plenty) {
  const auto map = options_.map_bytes;
  const auto spare = std::max(map - map / 100 * data_percent_max, spare_bytes_min);
  const auto limit = map - std::min(map, spare);
  auto used = limit; // as long as it cannot be told
  if (!enter())
    return 0; // being reopened
  if (env_ != nullptr) {
    MDB_envinfo info{};
    MDB_stat stat{};
    ::mdb_env_info(env_, &info);
    ::mdb_env_stat(env_, &stat);
    const auto pages = static_cast<std::uint64_t>(info.me_last_pgno) + 1;
    if (pages * stat.ms_psize + plenty < limit)
      used = pages * stat.ms_psize;
    else if (count_free_pages(std::numeric_limits<std::size_t>::max()))
      used = (pages - std::min(pages, free_pages_.load(std::memory_order_relaxed)))
             * stat.ms_psize;
  }
  leave();
  return limit - std::min(limit, used);
}

int environment::clear_stale_readers() {
  int dead = 0;
  if (!enter())
    return dead; // being reopened, and with that cleared
  if (env_ != nullptr)
    ::mdb_reader_check(env_, &dead);
  leave();
  return dead;
}

} // namespace ron::core::store
