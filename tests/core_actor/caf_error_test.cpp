#include "core/actor/caf_error.hpp"

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <gtest/gtest.h>

#include <stdexcept>

using namespace ron::core;

TEST(CafError, OursComesBackAsItWentIn) {
  for (std::size_t i = 1; i < ec_count; ++i) {
    error e{static_cast<ec>(i), "text " + std::to_string(i), static_cast<std::uint32_t>(i * 10)};
    EXPECT_EQ(to_error(to_caf(e)), e);
  }
  EXPECT_EQ(to_error(to_caf(error{ec::busy, ""})), (error{ec::busy, ""}));
}

TEST(CafError, ABareCodeIsAnErrorToo) {
  caf::error e = ec::not_found;
  EXPECT_EQ(to_error(e), (error{ec::not_found, ""}));
  EXPECT_EQ(to_error(caf::make_error(ec::quota, "slow down")), (error{ec::quota, "slow down"}));
}

TEST(CafError, CafsOwnErrorsGetOurWords) {
  EXPECT_EQ(to_error(caf::make_error(caf::sec::request_timeout)).code, ec::downstream_timeout);
  EXPECT_EQ(to_error(caf::make_error(caf::sec::request_receiver_down)).code, ec::degraded);
  EXPECT_EQ(to_error(caf::make_error(caf::exit_reason::kill)).code, ec::degraded);
  EXPECT_EQ(to_error(caf::make_error(caf::exit_reason::remote_link_unreachable)).code,
            ec::degraded);
  EXPECT_EQ(to_error(caf::make_error(caf::sec::unexpected_message)).code, ec::internal);
  EXPECT_EQ(to_error(caf::error{}).code, ec::internal);
}

TEST(CafError, AnExceptionIsInternalWithItsWords) {
  auto e = to_error(to_caf(std::make_exception_ptr(std::runtime_error{"no luck"})));
  EXPECT_EQ(e, (error{ec::internal, "no luck"}));
  EXPECT_EQ(to_error(to_caf(std::make_exception_ptr(7))).code, ec::internal);
}

TEST(CafError, RendersForPeople) {
  auto e = to_caf(error{ec::busy, "mailbox_full"});
  EXPECT_EQ(render_error(e.code(), e.category(), e.context()), "busy: mailbox_full");
}
