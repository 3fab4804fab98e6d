#pragma once

#include "core/bytes.hpp"
#include "peers/pairs.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

struct MDB_env;

namespace ron::bench {

/// LMDB as a program without checks, records and other threads uses it: one table, small objects
/// under their hash, chunks of 64 KiB of large ones under (number, place), a commit at the end of
/// an object and after every 8 MiB. Throws on failures.
class raw_lmdb {
public:
  explicit raw_lmdb(const std::string& path);
  raw_lmdb(const raw_lmdb&) = delete;
  raw_lmdb& operator=(const raw_lmdb&) = delete;
  ~raw_lmdb();

  /// Stores an object of one chunk under its hash, a larger one under the next number; durable when
  /// it returns.
  void put_object(core::byte_view v);
  void put_object(std::uint64_t number, core::byte_view v);
  /// `n` objects of one chunk, each under its hash, in one transaction.
  void put_batch(std::size_t n, const std::function<core::byte_view()>& next);
  /// A copy of `length` bytes, which are of one chunk. `check`: hashes the whole chunk, too.
  core::bytes read(std::uint64_t number, std::uint64_t at, std::size_t length, bool check);

  /// Writes a page of a file in the same folder and syncs it, for so long.
  sample syncs(double seconds) const;

private:
  std::string path_;
  MDB_env* env_ = nullptr;
  unsigned dbi_ = 0;
  std::uint64_t last_number_ = 0; ///< 0 is the object that is read
};

} // namespace ron::bench
