#include "oap/spec_check.hpp"
#include "oap/spec_history.hpp"
#include "oap/vectors.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

/// Reader and session against the executable specification (spec_*.hpp). A failure prints its seed:
///   RON_SEED=<seed> build/release/bin/oap_model_tests      runs that history alone
///   RON_HISTORIES=<n>                                      runs so many
namespace ron::oap::test {
namespace {

using rng_t = std::mt19937_64;

std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::uint64_t histories() {
  return number_of("RON_HISTORIES", std::getenv("TEST_FULL") ? 2'000'000 : 20'000);
}

history_result run_seed(std::uint64_t seed) {
  rng_t rng{seed};
  chooser choose = [&rng](std::uint64_t n) {
    return n == 0 ? 0 : rng() % n;
  };
  return run_history(choose, 2 + rng() % 80);
}

TEST(OapModel, SessionDoesWhatTheSpecificationSays) {
  auto only = number_of("RON_SEED", 0);
  auto first = only ? only : 1;
  auto last = only ? only : histories();
  std::uint64_t frames = 0, rejects = 0, acks = 0;
  std::map<std::uint64_t, std::uint64_t> reasons;
  for (auto seed = first; seed <= last; ++seed) {
    auto r = run_seed(seed);
    ASSERT_EQ(r.failure, "") << "RON_SEED=" << seed << "\n" << r.story;
    frames += r.frames;
    for (const auto& [why, n] : r.rejects) {
      reasons[why] += n;
      rejects += n;
    }
    acks += r.acks;
  }
  std::printf("%llu histories: %llu frames, %llu rejects, %llu ACKs\n",
              static_cast<unsigned long long>(last - first + 1),
              static_cast<unsigned long long>(frames), static_cast<unsigned long long>(rejects),
              static_cast<unsigned long long>(acks));
  if (!only) {
    EXPECT_GT(frames, 10 * last) << "histories die too young to mean anything";
    for (std::uint64_t why = 1; why <= 23 && last >= 20'000; ++why)
      EXPECT_GT(reasons[why], 0u) << "no history met reject " << why;
  }
}

TEST(OapModel, ReaderReadsTheVectorsAsTheSpecification) {
  for (const auto& g : load_vectors())
    EXPECT_GT(compare_readers(g.bytes), 0u) << g.name;
}

// Good frames with a few bits turned, which is where a reader and its specification would part.
TEST(OapModel, ReaderReadsMutatedFramesAsTheSpecification) {
  auto vectors = load_vectors();
  auto only = number_of("RON_SEED", 0);
  for (auto seed = only ? only : 1, last = only ? only : 10 * histories(); seed <= last; ++seed) {
    rng_t rng{seed};
    auto w = vectors[rng() % vectors.size()].bytes;
    for (auto n = rng() % 4; n > 0; --n)
      w[rng() % w.size()] = static_cast<std::uint8_t>(rng() % 3 ? 1u << rng() % 8 : rng());
    if (rng() % 8 == 0)
      w.resize(rng() % w.size());
    compare_readers(w);
  }
}

} // namespace
} // namespace ron::oap::test
