#pragma once

#include "core/hash.hpp"
#include "storage/backend.hpp"
#include "storage/lmdb_backend.hpp"
#include "storage/put_assembler.hpp"
#include "support/eventually.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <stdlib.h>

/// What tests of the store share: bytes, uploads that wait, a folder.
namespace ron::test {

namespace core = ::ron::core;
using namespace storage;
using core::byte_view;
using core::ec;
using core::fail;
using core::result;
using namespace std::chrono_literals;
namespace b3 = core::b3;
namespace fs = std::filesystem;
using byte_vector = std::vector<std::uint8_t>;

inline byte_vector noise(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 rng{seed};
  byte_vector out(n);
  for (auto& x : out)
    x = static_cast<std::uint8_t>(rng());
  return out;
}

inline core::tenant tenant_of(std::uint8_t n) {
  core::tenant t;
  t.id.fill(n);
  return t;
}

/// Turns a call that reports later into one that waits, at most 30 s.
template <class T, class F>
result<T> wait_for(F call) {
  auto promise = std::make_shared<std::promise<result<T>>>();
  auto future = promise->get_future();
  call([promise](result<T> r) { promise->set_value(std::move(r)); });
  if (future.wait_for(30s) != std::future_status::ready)
    return fail(ec::timeout, "no outcome");
  return future.get();
}

/// Uploads `data` in pieces of `piece` bytes; stops at the first error.
inline result<put_result> put(backend& db, byte_view data, core::tenant holder = tenant_of(1),
                              std::size_t piece = 100'000, origin from = origin::put) {
  put_assembler a{1ull << 40};
  auto to = db.begin(from);
  for (std::size_t at = 0; at < data.size(); at += piece) {
    if (auto ok = a.add(data.subspan(at, std::min(piece, data.size() - at))); !ok)
      return std::unexpected{ok.error()};
    while (auto g = a.next()) {
      auto stored = wait_for<void>([&](auto then) { to->add(std::move(*g), std::move(then)); });
      if (!stored)
        return std::unexpected{stored.error()};
    }
  }
  return wait_for<put_result>(
    [&](auto then) { to->commit(a.finish(), holder, std::move(then)); });
}

/// Bytes [from, to) of an object, chunk by chunk.
inline result<byte_vector> get(backend& db, const core::cid& c, std::uint64_t from,
                               std::uint64_t to) {
  byte_vector out;
  while (from < to) {
    auto r = db.read(c, from, to - from);
    if (!r)
      return std::unexpected{r.error()};
    if (r->data.empty())
      return fail(ec::internal, "an empty chunk");
    out.insert(out.end(), r->data.data(), r->data.data() + r->data.size());
    from += r->data.size();
  }
  return out;
}

inline result<void> del(backend& db, const core::cid& c, core::tenant holder = tenant_of(1)) {
  return wait_for<void>([&](auto then) { db.del(c, holder, std::move(then)); });
}
inline result<object_info> pin(backend& db, const core::cid& c) {
  return wait_for<object_info>([&](auto then) { db.pin(c, std::move(then)); });
}
inline result<object_info> unpin(backend& db, const core::cid& c) {
  return wait_for<object_info>([&](auto then) { db.unpin(c, std::move(then)); });
}

/// A folder that goes with the test.
struct temporary_folder {
  temporary_folder() {
    auto pattern = ::testing::TempDir() + "ron-storage-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("no folder for the test");
    path = pattern;
  }
  ~temporary_folder() { fs::remove_all(path); }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  std::string path;
};

inline lmdb_backend_options lmdb_options(const temporary_folder& folder) {
  lmdb_backend_options out;
  out.path = folder.path + "/db";
  out.map_bytes = 256u << 20;
  out.readers_max = 8;
  out.verified_cache = 4u << 20;
  return out;
}

inline std::unique_ptr<backend> open_lmdb(const lmdb_backend_options& options,
                                          const core::clock& clock,
                                          core::store::faults* injected = nullptr) {
  auto db = open_lmdb_backend(options, clock, injected);
  if (!db)
    throw std::runtime_error(db.error().message);
  return std::move(*db);
}

} // namespace ron::test
