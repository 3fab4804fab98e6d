#pragma once

#include "core/clock.hpp"
#include "storage/backend.hpp"
#include "storage/lmdb_backend.hpp"
#include "storage/put_assembler.hpp"

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <stdlib.h>

/// What the benchmarks of the stores share.
namespace ron::bench {

/// A folder on the disk of the working folder: a RAM disk would say nothing about fdatasync.
struct folder {
  folder() {
    std::string pattern = "store-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("no folder");
    path = pattern;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

inline std::vector<std::uint8_t> noise(std::size_t n) {
  std::mt19937_64 rng{7};
  std::vector<std::uint8_t> out(n);
  for (auto& x : out)
    x = static_cast<std::uint8_t>(rng());
  return out;
}

/// Lets at most `max` things be under way, and waits for the last of them.
class window {
public:
  explicit window(std::size_t max) : max_(max) {}
  void enter() {
    std::unique_lock lock{mutex_};
    free_.wait(lock, [this] { return used_ < max_; });
    ++used_;
  }
  void leave() {
    std::lock_guard guard{mutex_};
    --used_;
    free_.notify_one();
  }
  void drain() {
    std::unique_lock lock{mutex_};
    free_.wait(lock, [this] { return used_ == 0; });
  }

private:
  std::mutex mutex_;
  std::condition_variable free_;
  std::size_t max_;
  std::size_t used_ = 0;
};

/// The LMDB back end in `path`, with so many bytes for its cache of verified groups.
inline std::unique_ptr<storage::backend> open_objects(const std::string& path,
                                                      std::uint64_t cache) {
  static const core::system_clock wall;
  storage::lmdb_backend_options o;
  o.path = path + "/objects";
  o.map_bytes = 16ull << 30;
  o.verified_cache = cache;
  auto db = storage::open_lmdb_backend(o, wall);
  if (!db)
    throw std::runtime_error(db.error().message);
  return std::move(*db);
}

/// Stores an object as the role does; `done` is called with its id when it is durable. Waits while
/// 32 of its groups are on their way.
template <class Done>
void put_object(storage::backend& db, core::byte_view data, Done done) {
  window under_way{32};
  storage::put_assembler a{1ull << 40};
  auto to = db.begin();
  constexpr auto piece = core::limits::read_buffer_bytes;
  for (std::size_t at = 0; at < data.size(); at += piece) {
    if (!a.add(data.subspan(at, std::min(piece, data.size() - at))))
      throw std::runtime_error("too large");
    while (auto g = a.next()) {
      under_way.enter();
      to->add(std::move(*g), [&](const core::result<void>&) { under_way.leave(); });
    }
  }
  to->commit(a.finish(), {}, [done = std::move(done)](core::result<storage::put_result> r) mutable {
    done(r ? r->cid : core::cid{});
  });
  under_way.drain();
}

/// The same, and waits until it is durable. Throws if it was not stored.
inline core::cid put_object(storage::backend& db, core::byte_view data) {
  std::promise<core::cid> stored;
  put_object(db, data, [&](const core::cid& c) { stored.set_value(c); });
  auto c = stored.get_future().get();
  if (c == core::cid{})
    throw std::runtime_error("the object was not stored");
  return c;
}

inline void remove_object(storage::backend& db, const core::cid& c) {
  std::promise<void> done;
  db.del(c, {}, [&](const core::result<void>&) { done.set_value(); });
  done.get_future().wait();
}

} // namespace ron::bench
