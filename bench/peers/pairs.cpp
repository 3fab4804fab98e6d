#include "peers/pairs.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace ron::bench {

namespace {

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

} // namespace

double cpu_seconds() {
  rusage r{};
  ::getrusage(RUSAGE_SELF, &r);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(r.ru_utime) + seconds(r.ru_stime);
}

void stopwatch::start() {
  cpu_began_ = cpu_seconds();
  began_ = std::chrono::steady_clock::now();
}

void stopwatch::stop() {
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
  sum_.seconds += took.count();
  sum_.cpu += cpu_seconds() - cpu_began_;
}

sample stopwatch::result(double operations) const noexcept {
  auto s = sum_;
  s.operations = operations;
  return s;
}

double nanoseconds(const sample& s) {
  return s.seconds * 1e9 / s.operations;
}

double cpu_nanoseconds(const sample& s) {
  return s.cpu * 1e9 / s.operations;
}

double per_second(const sample& s) {
  return s.operations / s.seconds;
}

void run_pairs(std::string_view bench, const pair_case& c, int pairs) {
  const std::string name{bench};
  std::vector<double> mine, peers, ratios, cpu_mine, cpu_peers;
  for (int i = 0; i < pairs; ++i) {
    auto a = c.ours();
    auto b = c.theirs();
    mine.push_back(c.figure(a));
    peers.push_back(c.figure(b));
    ratios.push_back(c.less_is_better ? peers.back() / mine.back() : mine.back() / peers.back());
    cpu_mine.push_back(c.cpu(a));
    cpu_peers.push_back(c.cpu(b));
    std::fprintf(stderr, "%s: %s, pair %d of %d: ours %.4g, theirs %.4g %s\n", name.c_str(),
                 c.name.c_str(), i + 1, pairs, mine.back(), peers.back(), c.unit.c_str());
  }
  auto [low, high] = std::ranges::minmax(ratios);
  std::printf("{\"bench\":\"%s\",\"case\":\"%s\",\"unit\":\"%s\",\"ours\":%.6g,\"peer\":\"%s\","
              "\"theirs\":%.6g,\"ratio\":%.4g,\"goal\":\"%s\",\"met\":%s,\"pairs\":%d,"
              "\"spread\":[%.4g,%.4g],\"cpu_ours\":%.6g,\"cpu_theirs\":%.6g%s}\n",
              name.c_str(), c.name.c_str(), c.unit.c_str(), median(mine), c.peer.c_str(),
              median(peers), median(ratios), c.goal.c_str(),
              c.met(median(mine), median(ratios)) ? "true" : "false", pairs, low, high,
              median(cpu_mine), median(cpu_peers), c.more ? c.more().c_str() : "");
  std::fflush(stdout);
}

int pairs_main(int argc, char** argv, std::string_view bench,
               const std::function<std::vector<pair_case>(double seconds)>& cases) {
  int pairs = argc > 1 ? std::atoi(argv[1]) : 9;
  double seconds = argc > 2 ? std::atof(argv[2]) : 1.0;
  if (pairs < 1 || !(seconds > 0)) {
    std::fprintf(stderr, "usage: %s [PAIRS [SECONDS [CASE]]]\n", argv[0]);
    return 2;
  }
  for (const auto& c : cases(seconds))
    if (argc < 4 || c.name.find(argv[3]) != std::string::npos)
      run_pairs(bench, c, pairs);
  return 0;
}

} // namespace ron::bench
