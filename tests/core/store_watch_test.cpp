#include "core/store/store_watch.hpp"
#include "log_fixture.hpp"
#include "store_fixture.hpp"

#include <vector>

namespace {

using namespace ron::test;

struct StoreWatch : ::testing::Test {
  instant now{1h};
  store_watch watch{"storage"};
  write_progress writer;
  bool stalled() {
    watch.look(now, {&writer, 1}, "/data/storage");
    return watch.stalled();
  }
};

TEST_F(StoreWatch, ACallThatDoesNotComeBack) {
  EXPECT_FALSE(stalled());
  {
    auto first = watch.enter(now);
    now += 20s;
    const auto second = watch.enter(now);
    now += 10s;
    EXPECT_FALSE(stalled());
    now += 1s;
    EXPECT_TRUE(stalled());
    EXPECT_EQ(watch.look(now, {&writer, 1}, "/data/storage"), 31s);
    first.reset();
    EXPECT_FALSE(stalled()) << "it came back";
    now += 20s;
    EXPECT_TRUE(stalled()) << "the second one does not";
  }
  EXPECT_FALSE(stalled());
}

TEST_F(StoreWatch, AWriterThatCommitsNothing) {
  writer.open = 1;
  for (int i = 0; i < 100; ++i) {
    now += 20s;
    ++writer.done;
    EXPECT_FALSE(stalled());
  }
  now += 31s;
  EXPECT_TRUE(stalled());
  writer.open = 0;
  EXPECT_FALSE(stalled()) << "nobody waits";
  now += 1h;
  EXPECT_FALSE(stalled());
  writer.open = 1;
  now += 20s;
  EXPECT_FALSE(stalled());
  now += 20s;
  EXPECT_TRUE(stalled());
  ++writer.done;
  EXPECT_FALSE(stalled()) << "a failure is an answer";
}

TEST_F(StoreWatch, HasABound) {
  std::vector<store_watch::call> calls;
  for (std::size_t i = 0; i < 2 * store_watch::calls_max; ++i)
    calls.push_back(watch.enter(now));
  now += 1h;
  EXPECT_TRUE(stalled());
  calls.clear();
  EXPECT_FALSE(stalled());
  const auto again = watch.enter(now);
  now += 1h;
  EXPECT_TRUE(stalled()) << "there is room again";
}

TEST_F(StoreWatch, LooksAtEachWriter) {
  write_progress both[] = {{1, 0}, {1, 0}};
  for (int i = 0; i < 3; ++i) {
    now += 20s;
    ++both[0].done;
    watch.look(now, both, "/data/mailbox");
  }
  EXPECT_TRUE(watch.stalled()) << "the second one, though the first goes on";
  both[1].open = 0;
  watch.look(now, both, "/data/mailbox");
  EXPECT_FALSE(watch.stalled());
}

} // namespace
