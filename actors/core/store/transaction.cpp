#include "core/store/transaction.hpp"

#include "core/store/environment.hpp"
#include "core/store/lmdb_error.hpp"

#include <lmdb.h>

#include <algorithm>

namespace ron::core::store {

namespace {

std::uint64_t entries_of(MDB_txn* txn, unsigned dbi) noexcept {
  MDB_stat stat{};
  ::mdb_stat(txn, dbi, &stat);
  return stat.ms_entries;
}

MDB_val to_val(byte_view v) noexcept {
  return {v.size(), const_cast<std::uint8_t*>(v.data())};
}

byte_view to_view(const MDB_val& v) noexcept {
  return {static_cast<const std::uint8_t*>(v.mv_data), v.mv_size};
}

} // namespace

result<byte_view> get_from(MDB_txn* txn, unsigned dbi, byte_view k) {
  auto key = to_val(k);
  MDB_val value{};
  if (auto rc = ::mdb_get(txn, dbi, &key, &value); rc != 0)
    return lmdb_fail(rc, "get");
  return to_view(value);
}

// -- cursor -----------------------------------------------------------------------------------

cursor::cursor(MDB_txn* txn, unsigned dbi) noexcept {
  error_ = ::mdb_cursor_open(txn, dbi, &cursor_);
}

cursor::~cursor() {
  if (cursor_ != nullptr)
    ::mdb_cursor_close(cursor_);
}

bool cursor::move(int operation, byte_view k) noexcept {
  if (cursor_ == nullptr)
    return false;
  auto key = to_val(k);
  MDB_val value{};
  auto rc = ::mdb_cursor_get(cursor_, &key, &value, static_cast<MDB_cursor_op>(operation));
  if (rc != 0) {
    error_ = rc == MDB_NOTFOUND ? error_ : rc;
    return false;
  }
  key_ = to_view(key);
  value_ = to_view(value);
  at_size_ = std::min(key_.size(), at_.size());
  std::copy_n(key_.begin(), at_size_, at_.begin());
  return true;
}

bool cursor::out_of_order() noexcept {
  error_ = MDB_CORRUPTED;
  return false;
}

bool cursor::step(int operation, bool forward) noexcept {
  std::array<std::uint8_t, key_bytes_max> before;
  std::copy_n(at_.begin(), at_size_, before.begin());
  const byte_view last{before.data(), at_size_};
  if (!move(operation))
    return false;
  const bool in_order = last.empty()
                        || (forward ? std::ranges::lexicographical_compare(last, key_)
                                    : std::ranges::lexicographical_compare(key_, last));
  return in_order || out_of_order();
}

bool cursor::first() noexcept {
  return move(MDB_FIRST);
}
bool cursor::last() noexcept {
  return move(MDB_LAST);
}
bool cursor::seek(byte_view k) noexcept {
  if (!move(MDB_SET_RANGE, k))
    return false;
  return !std::ranges::lexicographical_compare(key_, k) || out_of_order();
}
bool cursor::next() noexcept {
  return step(MDB_NEXT, true);
}
bool cursor::prev() noexcept {
  return step(MDB_PREV, false);
}

result<void> cursor::status() const {
  if (error_ != 0)
    return lmdb_fail(error_, "scan");
  return {};
}

// -- read_view --------------------------------------------------------------------------------

read_view::~read_view() {
  if (owner_ != nullptr)
    owner_->give_back(txn_);
}

result<byte_view> read_view::get(table t, byte_view k) const {
  return get_from(txn_, owner_->dbis()[static_cast<std::size_t>(t)], k);
}

cursor read_view::scan(table t) const noexcept {
  return cursor{txn_, owner_->dbis()[static_cast<std::size_t>(t)]};
}

bool read_view::in_memory(table t, byte_view k, lookup how) const noexcept {
  const auto& name = owner_->options_.tables[static_cast<std::size_t>(t)];
  return path_in_memory(owner_->warm_, ::mdb_txn_id(txn_), name, k, how);
}

std::uint64_t read_view::entries(table t) const noexcept {
  return entries_of(txn_, owner_->dbis()[static_cast<std::size_t>(t)]);
}

copied read_view::copy(byte_view v, std::span<std::uint8_t> to, bool may_wait) const noexcept {
  return owner_->file_.copy(v, to, may_wait);
}

void read_view::read_ahead(byte_view v) const noexcept {
  owner_->file_.read_ahead(v);
}

// -- transaction ------------------------------------------------------------------------------

std::uint64_t transaction::entries(table t) const noexcept {
  return entries_of(txn_, dbis_[static_cast<std::size_t>(t)]);
}

result<byte_view> transaction::get(table t, byte_view k) const {
  return get_from(txn_, dbis_[static_cast<std::size_t>(t)], k);
}

cursor transaction::scan(table t) const noexcept {
  return cursor{txn_, dbis_[static_cast<std::size_t>(t)]};
}

bool transaction::claim(std::size_t bytes) noexcept {
  constexpr std::uint64_t rest_of_a_page = 4'096;
  const auto n = bytes + rest_of_a_page;
  if (n > room_.limit - room_.used)
    return false;
  room_.used += n;
  return true;
}

result<void> transaction::write(table t, byte_view k, byte_view v, unsigned flags) {
  auto key = to_val(k);
  auto value = to_val(v);
  auto rc = ::mdb_put(txn_, dbis_[static_cast<std::size_t>(t)], &key, &value, flags);
  touched_ = touched_ || rc != MDB_KEYEXIST;
  if (rc != 0)
    return lmdb_fail(rc, "put");
  return {};
}

result<void> transaction::put(table t, byte_view k, byte_view v) {
  return write(t, k, v, 0);
}

result<void> transaction::insert(table t, byte_view k, byte_view v) {
  return write(t, k, v, MDB_NOOVERWRITE);
}

result<void> transaction::del(table t, byte_view k) {
  auto key = to_val(k);
  auto rc = ::mdb_del(txn_, dbis_[static_cast<std::size_t>(t)], &key, nullptr);
  touched_ = touched_ || rc != MDB_NOTFOUND;
  if (rc != 0)
    return lmdb_fail(rc, "del");
  return {};
}

// -- table_writer -----------------------------------------------------------------------------

table_writer::table_writer(transaction& t, table in) noexcept
  : in_(t), table_(in),
    error_(::mdb_cursor_open(t.txn_, t.dbis_[static_cast<std::size_t>(in)], &cursor_)) {
  // nop
}

table_writer::~table_writer() {
  if (cursor_ != nullptr)
    ::mdb_cursor_close(cursor_);
}

result<std::span<std::uint8_t>> table_writer::put(byte_view k, std::size_t value_bytes) {
  auto key = to_val(k);
  MDB_val value{value_bytes, nullptr};
  auto rc = error_;
  if (rc == 0) {
    in_.touched_ = true;
    rc = ::mdb_cursor_put(cursor_, &key, &value, MDB_RESERVE);
  }
  if (rc != 0)
    return lmdb_fail(rc, "put");
  return std::span{static_cast<std::uint8_t*>(value.mv_data), value_bytes};
}

result<void> table_writer::del(byte_view k) {
  auto key = to_val(k);
  MDB_val value{};
  auto rc = error_ != 0 ? error_ : ::mdb_cursor_get(cursor_, &key, &value, MDB_SET);
  if (rc == 0) {
    in_.touched_ = true;
    rc = ::mdb_cursor_del(cursor_, 0);
  }
  if (rc != 0)
    return lmdb_fail(rc, "del");
  return {};
}

} // namespace ron::core::store
