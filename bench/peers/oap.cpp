// The codec of OAP/1 against nghttp2, protobuf and a bare loop: the same payloads, alternating in
// one process. One JSON line per case on stdout, progress on stderr.
#include "peers/oap_sides.hpp"
#include "peers/pairs.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

namespace {

std::atomic<std::uint64_t> allocations{0};

} // namespace

// Counts what every side allocates.
void* operator new(std::size_t n) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(n))
    return p;
  throw std::bad_alloc{};
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using namespace ron;
using side = std::shared_ptr<bench::decoder>;

/// Rounds until `seconds` of them have passed; counts allocations between prepare and the end.
struct runner {
  side what;
  double seconds;
  std::shared_ptr<std::uint64_t> allocated = std::make_shared<std::uint64_t>(0);
  std::shared_ptr<std::uint64_t> frames = std::make_shared<std::uint64_t>(0);

  bench::sample operator()() const {
    bench::stopwatch watch;
    double done = 0;
    *allocated = *frames = 0;
    while (watch.seconds() < seconds) {
      const auto rounds = what->prepare();
      const auto before = allocations.load(std::memory_order_relaxed);
      std::size_t n = 0;
      watch.start();
      for (std::size_t i = 0; i < rounds; ++i)
        n += what->round();
      watch.stop();
      *allocated += allocations.load(std::memory_order_relaxed) - before;
      *frames += n;
      done += static_cast<double>(n);
    }
    return watch.result(done);
  }
  std::string allocations_per_frame() const {
    char text[64];
    std::snprintf(text, sizeof text, ",\"allocations_per_frame\":%.3g",
                  static_cast<double>(*allocated) / static_cast<double>(*frames));
    return text;
  }
};

std::size_t one_round(const runner& r) {
  r.what->prepare();
  return r.what->round();
}

bench::pair_case compare(std::string name, std::string peer, double goal, runner mine,
                         runner theirs) {
  if (auto a = one_round(mine), b = one_round(theirs); a != b || a == 0) {
    std::fprintf(stderr, "oap: %s: %zu frames of ours, %zu of %s\n", name.c_str(), a, b,
                 peer.c_str());
    std::exit(1);
  }
  char words[32];
  std::snprintf(words, sizeof words, ">= %gx", goal);
  return {.name = std::move(name),
          .peer = std::move(peer),
          .unit = "frames/s",
          .goal = words,
          .ours = mine,
          .theirs = theirs,
          .figure = bench::per_second,
          .met = [goal](double, double ratio) { return ratio >= goal; },
          .cpu = bench::cpu_nanoseconds,
          .more = [mine] { return mine.allocations_per_frame(); }};
}

const std::string h2 = "nghttp2 session_mem_recv";

void add_decoding(std::vector<bench::pair_case>& out, std::size_t payload, double seconds) {
  const auto name = "decode " + std::to_string(payload) + " B";
  const runner ours{bench::ours(payload), seconds};
  const bool small = payload <= 256;
  out.push_back(compare(name, h2, small ? 15 : 10, ours, {bench::nghttp2(payload), seconds}));
  out.push_back(compare(name, "bare bounds-checked loop", small ? 0.4 : 0.3, ours,
                        {bench::bare_loop(payload), seconds}));
  out.push_back(compare(name, "protobuf, delimited", 1, ours,
                        {bench::protobuf(payload), seconds}));
  out.push_back(compare(name + " through the session", h2, 1,
                        {bench::ours_session(payload), seconds},
                        {bench::nghttp2(payload), seconds}));
}

std::vector<bench::pair_case> cases(double seconds) {
  std::vector<bench::pair_case> out;
  for (std::size_t payload : {32, 256, 4'096})
    add_decoding(out, payload, seconds);

  const side reads = bench::ours_reads();
  auto streaming = compare("decode 64 KiB from reads of 1 to 128 KiB", h2, 10, {reads, seconds},
                           {bench::nghttp2_reads(), seconds});
  streaming.goal += ", <= 1.1 bytes copied per 64";
  streaming.met = [reads](double, double ratio) {
    return ratio >= 10 && bench::copied_per_64(*reads) <= 1.1;
  };
  streaming.more = [reads, allocated = streaming.more] {
    char text[64];
    std::snprintf(text, sizeof text, ",\"copied_per_64\":%.3g", bench::copied_per_64(*reads));
    return allocated() + text;
  };
  out.push_back(std::move(streaming));

  out.push_back(compare("encode ACK", "nghttp2 WINDOW_UPDATE", 5, {bench::ours_acks(), seconds},
                        {bench::nghttp2_window_updates(), seconds}));
  out.push_back(compare("encode END", "nghttp2 DATA with END_STREAM", 5,
                        {bench::ours_ends(), seconds}, {bench::nghttp2_ends(), seconds}));
  return out;
}

} // namespace

int main(int argc, char** argv) {
  return bench::pairs_main(argc, argv, "oap", cases);
}
