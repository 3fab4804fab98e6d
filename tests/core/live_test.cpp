#include "core/live.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

namespace {

using namespace ron::core;
using namespace std::chrono_literals;

TEST(Live, WhoBeganEarlierKeepsWhatItBeganWith) {
  live<std::string> settings{"old"};
  const auto before = settings.get();
  settings.set("new");
  EXPECT_EQ(*before, "old");
  EXPECT_EQ(*settings.get(), "new");
  EXPECT_EQ(*live<std::string>{}.get(), "");
}

TEST(Live, ReadersSeeOneOrTheOtherWhole) {
  struct pair {
    int a = 0;
    int b = 0;
  };
  live<pair> settings;
  std::thread writer{[&] {
    for (int i = 1; i <= 10'000; ++i)
      settings.set({i, -i});
  }};
  for (int last = 0; last < 10'000;) {
    const auto now = settings.get();
    ASSERT_EQ(now->a, -now->b);
    ASSERT_GE(now->a, last);
    last = now->a;
  }
  writer.join();
}

TEST(Knob, IsOneFigureForAllCopies) {
  knob<std::chrono::milliseconds> ttl = 5ms;
  const auto copy = ttl;
  ttl.set(7ms);
  EXPECT_EQ(copy.get(), 7ms);
  ttl = 9ms; // another one from now on
  ttl.set(11ms);
  EXPECT_EQ(ttl.get(), 11ms);
  EXPECT_EQ(copy.get(), 7ms);
  const knob<unsigned> most = 3;
  EXPECT_TRUE(3 >= most && most < 4u);
}

} // namespace
