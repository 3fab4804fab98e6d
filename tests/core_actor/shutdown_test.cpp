#include "core/actor/shutdown.hpp"

#include <gtest/gtest.h>

using namespace std::chrono_literals;
using ron::core::instant;
using ron::core::shutdown;
using ron::core::shutdown_step;

namespace {

struct two_steps {
  std::vector<std::string> log;
  bool drained = false;
  bool flushed = false;

  std::vector<shutdown_step> steps() {
    return {{.name = "drain",
             .start = [this] { log.emplace_back("drain"); },
             .done = [this] { return drained; },
             .grace = 100ms,
             .cut = [this] { log.emplace_back("cut drain"); }},
            {.name = "flush",
             .start = [this] { log.emplace_back("flush"); },
             .done = [this] { return flushed; },
             .grace = 50ms,
             .cut = {}}};
  }
};

} // namespace

TEST(Shutdown, StartsEachStepWhenTheOneBeforeIsDone) {
  two_steps t;
  shutdown s{t.steps()};
  EXPECT_FALSE(s.advance(instant{0ms})) << "not begun";
  s.begin(instant{0ms});
  EXPECT_EQ(t.log, std::vector<std::string>{"drain"});
  EXPECT_FALSE(s.advance(instant{10ms}));
  EXPECT_EQ(s.waiting_for(), "drain");
  t.drained = true;
  EXPECT_FALSE(s.advance(instant{20ms}));
  EXPECT_EQ(s.waiting_for(), "flush");
  t.flushed = true;
  EXPECT_TRUE(s.advance(instant{30ms}));
  EXPECT_EQ(s.waiting_for(), "");
  EXPECT_EQ(t.log, (std::vector<std::string>{"drain", "flush"}));
  EXPECT_FALSE(s.anything_cut());
  ASSERT_EQ(s.report().size(), 2u);
  EXPECT_EQ(s.report()[0].took, 20ms);
  EXPECT_EQ(s.report()[1].took, 10ms);
}

TEST(Shutdown, CutsAStepAtTheEndOfItsGraceAndSaysSo) {
  two_steps t;
  t.flushed = true;
  shutdown s{t.steps()};
  s.begin(instant{0ms});
  EXPECT_FALSE(s.advance(instant{99ms}));
  EXPECT_TRUE(s.advance(instant{100ms}));
  EXPECT_EQ(t.log, (std::vector<std::string>{"drain", "cut drain", "flush"}));
  EXPECT_TRUE(s.anything_cut());
  EXPECT_TRUE(s.report()[0].was_cut);
  EXPECT_FALSE(s.report()[1].was_cut);
}

TEST(Shutdown, AStepWithoutConditionIsOverWhenStarted) {
  int started = 0;
  shutdown s{{{.name = "a", .start = [&] { ++started; }, .done = {}, .cut = {}},
              {.name = "b", .start = [&] { ++started; }, .done = {}, .cut = {}}}};
  s.begin(instant{0ms});
  s.begin(instant{1ms}); // once is enough
  EXPECT_TRUE(s.advance(instant{1ms}));
  EXPECT_EQ(started, 2);
  EXPECT_FALSE(s.anything_cut());
}

TEST(Shutdown, WithoutStepsIsFinishedAtOnce) {
  shutdown s{{}};
  EXPECT_FALSE(s.finished());
  s.begin(instant{0ms});
  EXPECT_TRUE(s.advance(instant{0ms}));
}
