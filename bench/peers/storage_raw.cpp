#include "peers/storage_raw.hpp"

#include <blake3.h>
#include <lmdb.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>
#include <vector>

namespace ron::bench {

namespace {

constexpr std::size_t chunk_bytes = 64u << 10;
constexpr std::size_t batch_bytes = 8u << 20;

void must(int rc) {
  if (rc != 0)
    throw std::runtime_error(std::string{"raw LMDB: "} + ::mdb_strerror(rc));
}

using digest = std::array<std::uint8_t, BLAKE3_OUT_LEN>;

digest hash(core::byte_view v) {
  blake3_hasher h;
  digest out;
  blake3_hasher_init(&h);
  blake3_hasher_update(&h, v.data(), v.size());
  blake3_hasher_finalize(&h, out.data(), out.size());
  return out;
}

std::array<std::uint8_t, 16> key_of(std::uint64_t number, std::uint64_t place) {
  std::array<std::uint8_t, 16> k;
  for (std::size_t i = 0; i < 8; ++i) {
    k[i] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
    k[8 + i] = static_cast<std::uint8_t>(place >> (56 - 8 * i));
  }
  return k;
}

template <std::size_t N>
void put(MDB_txn* txn, unsigned dbi, std::array<std::uint8_t, N> k, core::byte_view v) {
  MDB_val key{k.size(), k.data()};
  MDB_val value{v.size(), const_cast<std::uint8_t*>(v.data())};
  must(::mdb_put(txn, dbi, &key, &value, 0));
}

} // namespace

raw_lmdb::raw_lmdb(const std::string& path) : path_(path) {
  std::filesystem::create_directory(path);
  must(::mdb_env_create(&env_));
  must(::mdb_env_set_mapsize(env_, std::size_t{16} << 30));
  must(::mdb_env_open(env_, path.c_str(), MDB_NOTLS, 0600));
  MDB_txn* txn = nullptr;
  must(::mdb_txn_begin(env_, nullptr, 0, &txn));
  must(::mdb_dbi_open(txn, nullptr, 0, &dbi_));
  must(::mdb_txn_commit(txn));
}

raw_lmdb::~raw_lmdb() {
  ::mdb_env_close(env_);
}

void raw_lmdb::put_object(core::byte_view v) {
  if (v.size() <= chunk_bytes)
    return put_batch(1, [v] { return v; });
  put_object(++last_number_, v);
}

void raw_lmdb::put_object(std::uint64_t number, core::byte_view v) {
  for (std::size_t at = 0; at < v.size();) {
    MDB_txn* txn = nullptr;
    must(::mdb_txn_begin(env_, nullptr, 0, &txn));
    const auto end = std::min(v.size(), at + batch_bytes);
    for (; at < end; at += chunk_bytes)
      put(txn, dbi_, key_of(number, at / chunk_bytes),
          v.subspan(at, std::min(chunk_bytes, end - at)));
    must(::mdb_txn_commit(txn));
  }
}

void raw_lmdb::put_batch(std::size_t n, const std::function<core::byte_view()>& next) {
  MDB_txn* txn = nullptr;
  must(::mdb_txn_begin(env_, nullptr, 0, &txn));
  for (std::size_t i = 0; i < n; ++i) {
    const auto v = next();
    put(txn, dbi_, hash(v), v);
  }
  must(::mdb_txn_commit(txn));
}

core::bytes raw_lmdb::read(std::uint64_t number, std::uint64_t at, std::size_t length, bool check) {
  MDB_txn* txn = nullptr;
  must(::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn));
  auto k = key_of(number, at / chunk_bytes);
  MDB_val key{k.size(), k.data()};
  MDB_val value{};
  must(::mdb_get(txn, dbi_, &key, &value));
  const core::byte_view chunk{static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
  if (check)
    hash(chunk);
  auto copy = core::bytes::copy(chunk.subspan(at % chunk_bytes, length));
  ::mdb_txn_abort(txn);
  return copy;
}

sample raw_lmdb::syncs(double seconds) const {
  const auto path = path_ + "/sync";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::vector<char> page(4'096, 'x');
  auto out = measure_for(seconds, [&] {
    if (::pwrite(fd, page.data(), page.size(), 0) < 0 || ::fdatasync(fd) != 0)
      throw std::runtime_error("cannot sync " + path);
    return 1.0;
  });
  ::close(fd);
  return out;
}

} // namespace ron::bench
