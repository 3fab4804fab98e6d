// Our object store against a raw LMDB loop that moves the same bytes, and against the disk's own
// fdatasync, alternating in one process and on one disk. One JSON line per case on stdout, progress
// on stderr.
#include "peers/storage_raw.hpp"

#include "micro/store_tools.hpp"
#include "peers/pairs.hpp"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using namespace ron;
using bench::folder;
using bench::sample;
namespace b3 = core::b3;

constexpr std::size_t kib = 1'024;
constexpr std::size_t mib = 1'024 * kib;
/// Writes under way in the cases of group commits: as many as a busy node has.
constexpr std::size_t crowd = 256;

/// Both stores on the same disk, the same object in both.
struct stores {
  explicit stores(std::size_t object_bytes, std::uint64_t cache)
    : data(bench::noise(object_bytes)),
      ours(bench::open_objects(f.path, cache)),
      raw(f.path + "/raw") {
    if (object_bytes == 0)
      return;
    id = bench::put_object(*ours, data);
    raw.put_object(0, data);
  }

  folder f;
  std::vector<std::uint8_t> data;
  std::unique_ptr<storage::backend> ours;
  bench::raw_lmdb raw;
  core::cid id;
};

/// Bytes that no object had before.
void make_new(std::vector<std::uint8_t>& v) {
  static std::uint64_t last = 0;
  ++last;
  std::memcpy(v.data(), &last, sizeof last);
}

// -- writing -----------------------------------------------------------------------------------

/// Objects of `bytes` one after the other, each durable before the next.
sample put_ours(stores& s, std::size_t bytes, double seconds) {
  auto v = bench::noise(bytes);
  return bench::measure_for(seconds, [&] {
    make_new(v);
    bench::put_object(*s.ours, v);
    return 1.0;
  });
}

sample put_raw(stores& s, std::size_t bytes, double seconds) {
  auto v = bench::noise(bytes);
  return bench::measure_for(seconds, [&] {
    make_new(v);
    s.raw.put_object(v);
    return 1.0;
  });
}

/// As `put_ours`, with `crowd` objects under way.
sample put_crowd(stores& s, std::size_t bytes, double seconds) {
  auto v = bench::noise(bytes);
  bench::window under_way{crowd};
  std::atomic<std::uint64_t> stored{0};
  auto out = bench::measure_for(seconds, [&] {
    for (std::size_t i = 0; i < crowd; ++i) {
      make_new(v);
      under_way.enter();
      bench::put_object(*s.ours, v, [&](const core::cid& c) {
        if (c != core::cid{})
          ++stored;
        under_way.leave();
      });
    }
    return static_cast<double>(crowd);
  });
  under_way.drain();
  if (static_cast<double>(stored) != out.operations)
    throw std::runtime_error("an object was not stored");
  return out;
}

/// `crowd` values in each transaction: what a raw loop does when it need not answer anybody.
sample put_raw_batches(stores& s, std::size_t bytes, double seconds) {
  auto v = bench::noise(bytes);
  return bench::measure_for(seconds, [&] {
    s.raw.put_batch(crowd, [&] {
      make_new(v);
      return core::byte_view{v};
    });
    return static_cast<double>(crowd);
  });
}

sample raw_syncs(stores& s, std::size_t, double seconds) {
  return s.raw.syncs(seconds);
}

// -- reading -----------------------------------------------------------------------------------

/// Random groups of the object, at most `length` bytes of each from a random place on.
template <class Read>
sample read_random(stores& s, std::size_t length, double seconds, Read read) {
  std::mt19937_64 rng{3};
  const auto groups = b3::group_count(s.data.size());
  return bench::measure_for(seconds, [&] {
    constexpr int times = 256;
    for (int i = 0; i < times; ++i) {
      const auto group = rng() % groups;
      const auto skip = length < b3::group_bytes ? rng() % (b3::group_bytes - length) : 0;
      const auto at = group * b3::group_bytes + skip;
      if (std::memcmp(read(at).data(), s.data.data() + at, 16) != 0)
        throw std::runtime_error("other bytes than were stored");
    }
    return static_cast<double>(times);
  });
}

sample read_ours(stores& s, std::size_t length, double seconds) {
  return read_random(s, length, seconds, [&](std::uint64_t at) {
    auto r = s.ours->read(s.id, at, static_cast<std::uint32_t>(length));
    if (!r)
      throw std::runtime_error(r.error().message);
    return std::move(r->data);
  });
}

/// `check`: the group that the bytes are of is hashed.
sample read_raw(stores& s, std::size_t length, double seconds, bool check) {
  return read_random(s, length, seconds,
                     [&](std::uint64_t at) { return s.raw.read(0, at, length, check); });
}

// -- cases -------------------------------------------------------------------------------------

using turn = sample (*)(stores&, std::size_t, double);

struct row {
  const char* name;
  const char* peer;
  const char* goal;
  double least;
  std::size_t bytes;
  turn ours, theirs;
};

constexpr const char* raw_writes = "raw LMDB, the same bytes under their hash";
constexpr const char* raw_copies = "raw LMDB, bytes copied";
constexpr const char* raw_checks = "raw LMDB, bytes copied and their group hashed by libblake3";

constexpr row writes[] = {
  {"PUT 1 KiB, one at a time", raw_writes, ">= 0.8x", 0.8, kib, put_ours, put_raw},
  {"PUT 64 KiB, one at a time", raw_writes, ">= 0.8x", 0.8, 64 * kib, put_ours, put_raw},
  {"PUT 64 MiB", raw_writes, ">= 0.8x", 0.8, 64 * mib, put_ours, put_raw},
  {"PUT 1 KiB, 256 under way", "raw LMDB, 256 in a transaction", ">= 0.8x", 0.8, kib, put_crowd,
   put_raw_batches},
  {"group commit: PUT 1 KiB, 256 under way", "fdatasync of one written page", ">= 2x", 2, kib,
   put_crowd, raw_syncs},
};

sample raw_copy(stores& s, std::size_t length, double seconds) {
  return read_raw(s, length, seconds, false);
}
sample raw_check(stores& s, std::size_t length, double seconds) {
  return read_raw(s, length, seconds, true);
}

constexpr row cached_reads[] = {
  {"GET 64 KiB, verified before", raw_copies, ">= 1.0x", 1.0, 64 * kib, read_ours, raw_copy},
  {"range start, 1 KiB, verified before", raw_copies, ">= 0.8x", 0.8, kib, read_ours, raw_copy},
};
constexpr row first_reads[] = {
  {"GET 64 KiB, verified now", raw_checks, ">= 0.8x", 0.8, 64 * kib, read_ours, raw_check},
  {"range start, 1 KiB, verified now", raw_checks, ">= 0.8x", 0.8, kib, read_ours, raw_check},
};

/// The stores of one kind; those of another kind make room for them.
stores& opened(std::size_t object_bytes, std::uint64_t cache) {
  static std::unique_ptr<stores> current;
  static std::pair<std::size_t, std::uint64_t> kind;
  if (current && kind == std::pair{object_bytes, cache})
    return *current;
  current.reset();
  current = std::make_unique<stores>(object_bytes, cache);
  kind = {object_bytes, cache};
  return *current;
}

std::vector<bench::pair_case> cases(double seconds) {
  constexpr std::size_t object_bytes = 256 * mib;
  std::vector<bench::pair_case> out;
  auto add = [&](std::span<const row> rows, std::size_t object, std::uint64_t cache) {
    for (const auto& r : rows) {
      auto run = [=, bytes = r.bytes](turn f) {
        return [=] { return f(opened(object, cache), bytes, seconds); };
      };
      out.push_back({.name = r.name,
                     .peer = r.peer,
                     .unit = "1/s",
                     .goal = r.goal,
                     .ours = run(r.ours),
                     .theirs = run(r.theirs),
                     .figure = bench::per_second,
                     .met = [least = r.least](double, double x) { return x >= least; },
                     .cpu = bench::cpu_nanoseconds,
                     .more = {}});
    }
  };
  add(writes, 0, 0);
  add(cached_reads, object_bytes, 2 * object_bytes);
  add(first_reads, object_bytes, 0);
  return out;
}

} // namespace

int main(int argc, char** argv) {
  try {
    return bench::pairs_main(argc, argv, "storage", cases);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "storage: %s\n", e.what());
    return 1;
  }
}
