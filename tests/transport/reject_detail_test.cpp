#include "transport/reject_detail.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron;
using transport::detail_of;

TEST(RejectDetail, EveryRejectNamesAFieldAndWhoCanMoveItsLimit) {
  const oap::agreement agreed;
  for (std::uint16_t i = 1; i <= oap::reject_reason_max; ++i) {
    const auto d = detail_of(static_cast<oap::reason>(i), agreed, true);
    EXPECT_FALSE(d.field.empty()) << i;
    EXPECT_TRUE(d.knob == "protocol" || d.knob.starts_with("oap.")) << i;
    EXPECT_LT(d.field_offset, 64u) << i;
    EXPECT_EQ(d.knob != "protocol" && d.limit == 0, false) << i;
  }
}

TEST(RejectDetail, LimitsAreThoseOfTheConnection) {
  oap::agreement agreed;
  agreed.max_frame = 70'000;
  agreed.ack_window = 9;
  agreed.max_inflight = 99;
  auto d = detail_of(oap::reason::oversize, agreed, true);
  EXPECT_EQ(d.limit, 70'000u);
  EXPECT_EQ(d.knob, "oap.max-frame");
  EXPECT_EQ(d.field, "len");
  d = detail_of(oap::reason::oversize, agreed, false);
  EXPECT_EQ(d.limit, 16'422u) << "before HELLO";
  EXPECT_EQ(d.knob, "protocol");
  EXPECT_EQ(detail_of(oap::reason::window_overrun, agreed, true).limit, 9u);
  EXPECT_EQ(detail_of(oap::reason::inflight, agreed, true).limit, 99u);
  EXPECT_EQ(detail_of(oap::reason::cap_bounds, agreed, true).limit, 4'096u);
}

} // namespace
