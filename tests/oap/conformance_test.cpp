#include "oap/conformance.hpp"

#include <gtest/gtest.h>

#include <set>

/// The conformance vectors that every implementation of OAP/1 runs, against this one; and the proof
/// that none of them passes whatever happens.
namespace ron::oap::test {
namespace {

TEST(OapConformance, FramesAtEveryPrefix) {
  auto vectors = load_conformance("frames.json");
  EXPECT_GE(vectors.size(), 119u);
  for (const auto& v : vectors)
    EXPECT_EQ(run_frame_vector(v), "") << v["name"];
}

TEST(OapConformance, Sessions) {
  auto vectors = load_conformance("sessions.json");
  EXPECT_GE(vectors.size(), 90u);
  for (const auto& v : vectors) {
    EXPECT_EQ(run_session_vector(v), "") << v["name"];
    EXPECT_EQ(run_session_vector(v, {.how = cut::every_byte}), "") << v["name"];
  }
}

TEST(OapConformance, SessionsAtEverySplit) {
  std::size_t runs = 0;
  for (const auto& v : load_conformance("sessions.json")) {
    auto sizes = input_sizes(v);
    for (std::size_t step = 0; step < sizes.size(); ++step)
      for (std::size_t at = 1; at < sizes[step]; ++at, ++runs)
        ASSERT_EQ(run_session_vector(v, {.how = cut::once, .step = step, .at = at}), "")
            << v["name"] << " step " << step << " cut at " << at;
  }
  EXPECT_GT(runs, 10'000u);
}

TEST(OapConformance, EveryExpectationCanFail) {
  std::size_t n = 0;
  for (const auto& v : load_conformance("frames.json"))
    for (const auto& wrong : with_wrong_expectations(v)) {
      EXPECT_NE(run_frame_vector(wrong), "") << v["name"] << " passes as " << wrong["expect"];
      ++n;
    }
  for (const auto& v : load_conformance("sessions.json"))
    for (const auto& wrong : with_wrong_expectations(v)) {
      EXPECT_NE(run_session_vector(wrong), "") << v["name"] << " passes as " << wrong;
      ++n;
    }
  EXPECT_GT(n, 2'000u);
}

TEST(OapConformance, EveryStepOfInputMatters) {
  // What is ignored on purpose leaves no trace, whether it comes or not.
  const std::set<std::string> ignored{"no_x1_acceptor",
                                      "corr_gaps",
                                      "cancel",
                                      "crossing_errors",
                                      "nothing_after_a_reject",
                                      "late_frames_beyond_allowance"};
  for (const auto& v : load_conformance("sessions.json"))
    for (const auto& less : with_missing_input(v))
      if (!ignored.contains(v["name"].get<std::string>())) {
        EXPECT_NE(run_session_vector(less), "") << v["name"] << " passes as " << less;
      }
}

TEST(OapConformance, EveryRejectHasAVector) {
  std::set<int> reasons;
  for (const auto& v : load_conformance("sessions.json"))
    for (const auto& s : v["steps"])
      if (s.contains("expect"))
        for (const auto& e : s["expect"]["events"])
          if (e.value("local", false))
            reasons.insert(e.value("reason", 0));
  for (int why = 1; why <= 23; ++why)
    EXPECT_TRUE(reasons.contains(why)) << "no session vector for reason " << why;
}

} // namespace
} // namespace ron::oap::test
