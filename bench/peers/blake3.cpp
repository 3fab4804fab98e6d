// Our BLAKE3 (whole hashes, the tree of an upload, the path of a PUT) against the kernel of
// libblake3 as `b3sum --num-threads 1` runs it, and against a copy and that kernel, over the same
// bytes, alternating in one process. One JSON line per case on stdout, progress on stderr.
#include "core/hash.hpp"
#include "peers/pairs.hpp"
#include "storage/put_assembler.hpp"

#include <blake3.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace ron;
using core::b3::digest;
using noise_ptr = std::shared_ptr<const std::vector<std::uint8_t>>;

/// What one read of a busy link brings.
constexpr std::size_t piece_bytes = core::limits::read_buffer_bytes;
/// Bytes between two looks at the clock.
constexpr std::size_t work_bytes = 4u << 20;

noise_ptr noise(std::size_t n) {
  std::mt19937_64 rng{7};
  std::vector<std::uint8_t> out(n);
  for (auto& x : out)
    x = static_cast<std::uint8_t>(rng());
  return std::make_shared<const std::vector<std::uint8_t>>(std::move(out));
}

template <class F>
void for_each_piece(core::byte_view v, F f) {
  for (std::size_t at = 0; at < v.size(); at += piece_bytes)
    f(v.subspan(at, std::min(piece_bytes, v.size() - at)));
}

// -- the sides ---------------------------------------------------------------------------------

digest kernel(core::byte_view v) {
  blake3_hasher h;
  blake3_hasher_init(&h);
  blake3_hasher_update(&h, v.data(), v.size());
  digest out;
  blake3_hasher_finalize(&h, out.data(), out.size());
  return out;
}

digest copy_and_kernel(core::byte_view v) {
  static std::vector<std::uint8_t> to(piece_bytes);
  blake3_hasher h;
  blake3_hasher_init(&h);
  for_each_piece(v, [&](core::byte_view piece) {
    std::memcpy(to.data(), piece.data(), piece.size());
    blake3_hasher_update(&h, to.data(), piece.size());
  });
  digest out;
  blake3_hasher_finalize(&h, out.data(), out.size());
  return out;
}

digest whole(core::byte_view v) {
  return core::b3::hash(v);
}

digest tree(core::byte_view v) {
  core::b3::tree_builder t;
  t.feed(v);
  return t.finish();
}

/// Everything that a PUT does before a back end: pieces into groups, hash, tree, id.
digest put_path(core::byte_view v) {
  storage::put_assembler a{1ull << 40};
  std::size_t groups = 0;
  for_each_piece(v, [&](core::byte_view piece) {
    if (!a.add(piece))
      std::abort(); // nothing is too large here
    while (a.next())
      ++groups;
  });
  auto end = a.finish();
  if (groups + 1 != core::b3::group_count(v.size()))
    std::abort();
  return end.cid.hash;
}

// -- cases ---------------------------------------------------------------------------------------

using side = digest (*)(core::byte_view);

/// Runs `f` for `seconds`; every digest must be `expected`.
bench::sample run(side f, const noise_ptr& data, const digest& expected, double seconds) {
  const auto times = std::max<std::size_t>(1, work_bytes / data->size());
  return bench::measure_for(seconds, [&] {
    for (std::size_t i = 0; i < times; ++i)
      if (f(*data) != expected) {
        std::fprintf(stderr, "blake3: a wrong digest\n");
        std::exit(1);
      }
    return static_cast<double>(times * data->size());
  });
}

std::vector<bench::pair_case> cases(double seconds) {
  struct row {
    const char* name;
    const char* peer;
    const char* goal;
    double least;
    side ours, theirs;
  };
  const row rows[] = {
    // The same kernel: what differs is noise, of which 2 % are allowed.
    {"hash", "libblake3, one thread", ">= 1.0x, less 2 % of noise", 0.98, whole, kernel},
    {"hash and outboard", "libblake3, one thread", ">= 0.95x", 0.95, tree, kernel},
    {"PUT path", "memcpy and libblake3", ">= 0.8x", 0.8, put_path, copy_and_kernel},
  };
  std::vector<bench::pair_case> out;
  for (auto [bytes, label] : {std::pair{64u << 10, "64 KiB"}, {1u << 20, "1 MiB"},
                              {64u << 20, "64 MiB"}}) {
    auto data = noise(bytes);
    const auto expected = kernel(*data);
    for (const auto& r : rows) {
      auto turn = [=](side f) { return [=] { return run(f, data, expected, seconds); }; };
      out.push_back({.name = std::string{r.name} + ", " + label,
                     .peer = r.peer,
                     .unit = "GB/s",
                     .goal = r.goal,
                     .ours = turn(r.ours),
                     .theirs = turn(r.theirs),
                     .figure = [](const bench::sample& s) { return bench::per_second(s) / 1e9; },
                     .met = [least = r.least](double, double x) { return x >= least; },
                     .cpu = bench::cpu_nanoseconds,
                     .more = {}});
    }
  }
  return out;
}

} // namespace

int main(int argc, char** argv) {
  return ron::bench::pairs_main(argc, argv, "blake3", cases);
}
