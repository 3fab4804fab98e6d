#include "core/actor/mailbox_bounds.hpp"

#include <gtest/gtest.h>

namespace bounds = ron::core::mailbox_bounds;

struct MailboxBounds : ::testing::Test {
  ~MailboxBounds() override { bounds::reset(); }
};

TEST_F(MailboxBounds, DefaultsByTheLastPartOfTheType) {
  EXPECT_EQ(bounds::of("omnigate.semaphore"), 256u);
  EXPECT_EQ(bounds::of("transport.connection"), 64u);
  EXPECT_EQ(bounds::of("oap.stream"), 64u);
  EXPECT_EQ(bounds::of("lookup"), 64u);
  EXPECT_EQ(bounds::of(""), 256u);
}

TEST_F(MailboxBounds, TheWholeNameWinsOverItsLastPart) {
  bounds::set("stream", 100);
  bounds::set("oap.stream", 7);
  EXPECT_EQ(bounds::of("oap.stream"), 7u);
  EXPECT_EQ(bounds::of("http.stream"), 100u);
}

TEST_F(MailboxBounds, StaysWithinItsRange) {
  bounds::set("a", 0);
  bounds::set("b", 1'000'000);
  EXPECT_EQ(bounds::of("a"), 1u);
  EXPECT_EQ(bounds::of("b"), 65'536u);
}
