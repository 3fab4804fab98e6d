#include "core/store/snapshot.hpp"

#include "core/store/key.hpp"
#include "core/store/lmdb_error.hpp"

#include <lmdb.h>

#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace ron::core::store {

// -- guest ------------------------------------------------------------------------------------

namespace {

/// The lock that keeps `compact_environment` from putting another file in place meanwhile; nothing
/// where nobody can write.
result<std::optional<file_lock>> lock_as_guest(const std::string& path) {
  auto lock = file_lock::take(path + "/" + guest_lock_name, file_lock::mode::shared);
  if (lock)
    return std::optional{std::move(*lock)};
  if (lock.error() == EROFS || lock.error() == EACCES)
    return std::nullopt;
  if (lock.error() == EWOULDBLOCK)
    return fail(ec::busy, path + " is being compacted by another process");
  return fail(ec::degraded, "cannot lock " + path + ": " + std::strerror(lock.error()));
}

} // namespace

result<guest> guest::open(const std::string& path, std::uint32_t tables_max) {
  if (::access((path + "/data.mdb").c_str(), F_OK) != 0)
    return fail(ec::not_found, "no store in " + path);
  auto lock = lock_as_guest(path);
  if (!lock)
    return std::unexpected{lock.error()};
  const unsigned flags = MDB_RDONLY | MDB_NOTLS | (*lock ? 0u : MDB_NOLOCK);
  MDB_env* env = nullptr;
  auto rc = ::mdb_env_create(&env);
  if (rc == 0)
    rc = ::mdb_env_set_maxdbs(env, tables_max);
  if (rc == 0)
    rc = ::mdb_env_open(env, path.c_str(), flags, 0600);
  if (rc == 0)
    return guest{std::move(*lock), env};
  if (env != nullptr)
    ::mdb_env_close(env);
  auto e = lmdb_error(rc, "open " + path);
  return std::unexpected{std::move(e)};
}

guest::guest(guest&& o) noexcept
  : lock_(std::move(o.lock_)), env_(std::exchange(o.env_, nullptr)) {
  // nop
}

guest::~guest() {
  if (env_ != nullptr)
    ::mdb_env_close(env_);
}

std::uint64_t guest::used_bytes() const noexcept {
  MDB_envinfo info{};
  MDB_stat stat{};
  ::mdb_env_info(env_, &info);
  ::mdb_env_stat(env_, &stat);
  return (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
}

// -- snapshot ---------------------------------------------------------------------------------

result<snapshot> snapshot::open(const std::string& path, const std::vector<std::string>& tables,
                                std::uint32_t format) {
  auto home = guest::open(path, static_cast<std::uint32_t>(tables.size() + 1));
  if (!home)
    return std::unexpected{home.error()};
  snapshot out{std::move(*home)};
  if (auto rc = ::mdb_txn_begin(out.home_.env(), nullptr, MDB_RDONLY, &out.txn_); rc != 0)
    return lmdb_fail(rc, "read " + path);
  if (auto rc = ::mdb_dbi_open(out.txn_, "meta", 0, &out.meta_); rc != 0)
    return fail(ec::internal, path + " has no table meta: it is not a store of RON");
  const std::string_view format_key = "format";
  auto stored = out.meta(
    {reinterpret_cast<const std::uint8_t*>(format_key.data()), format_key.size()});
  if (!stored)
    return fail(ec::internal, path + " does not say which format it has");
  if (const auto found = load<std::uint32_t>(*stored); found != format)
    return fail(ec::precondition_failed,
                path + " has format " + std::to_string(found) + ", this program reads format "
                  + std::to_string(format)
                  + "; a node of this version brings an older store up to date when it starts");
  for (const auto& name : tables) {
    MDB_dbi dbi = 0;
    if (auto rc = ::mdb_dbi_open(out.txn_, name.c_str(), 0, &dbi); rc != 0)
      return fail(ec::internal, path + ": cannot open the table " + name + ": "
                                  + ::mdb_strerror(rc));
    out.dbis_.push_back(dbi);
  }
  return out;
}

snapshot::snapshot(snapshot&& o) noexcept
  : home_(std::move(o.home_)), txn_(std::exchange(o.txn_, nullptr)), meta_(o.meta_),
    dbis_(std::move(o.dbis_)) {
  // nop
}

snapshot::~snapshot() {
  if (txn_ != nullptr)
    ::mdb_txn_abort(txn_);
}

result<byte_view> snapshot::get(table t, byte_view k) const {
  return get_from(txn_, dbis_[static_cast<std::size_t>(t)], k);
}

cursor snapshot::scan(table t) const noexcept {
  return cursor{txn_, dbis_[static_cast<std::size_t>(t)]};
}

} // namespace ron::core::store
