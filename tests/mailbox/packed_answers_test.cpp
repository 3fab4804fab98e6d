#include "mailbox/packed_answers.hpp"

#include "core/json.hpp"
#include "mailbox/stream_service.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron::mailbox;
using ron::core::dump_cbor;
using ron::core::json;

TEST(PackedAnswers, AreWhatTheTreeWouldBe) {
  EXPECT_EQ(pack(sent{"01M7Y7JBNS8VT62EHW3G8ZPQP3", true}),
            dump_cbor({{"message_id", "01M7Y7JBNS8VT62EHW3G8ZPQP3"}, {"duplicate", true}}));

  const sent_batch batch{{{"01M7Y7JBNS8VT62EHW3G8ZPQP3", false}, {"id", true}}};
  EXPECT_EQ(pack(batch),
            dump_cbor({{"messages",
                        {{{"message_id", "01M7Y7JBNS8VT62EHW3G8ZPQP3"}, {"duplicate", false}},
                         {{"message_id", "id"}, {"duplicate", true}}}}}));

  delivery plain;
  plain.message_id = "id";
  plain.payload = ron::core::bytes::copy(std::string_view{"payload"});
  plain.attempt = 1;
  plain.received_at_ms = 1'800'000'000'000;
  plain.receipt = "1.69b46df03f170fe2";
  auto full = plain;
  full.key = "key";
  full.attrs = {{"b", "1"}, {"aaa", "2"}, {"c", ""}, {"aa", "4"}, {"aab", "5"}};
  full.attempt = 300;
  full.received_at_ms = -1;
  EXPECT_EQ(pack(std::vector<delivery>{}), dump_cbor({{"messages", json::array()}}));
  EXPECT_EQ(pack({plain, full}), dump_cbor({{"messages", {to_json(plain), to_json(full)}}}));

  const std::vector<std::string> receipts{"1.a", "2.b", "3.c"};
  EXPECT_EQ(pack({receipt_status::ok, receipt_status::gone, receipt_status::expired}, receipts),
            dump_cbor({{"results",
                                              {{{"receipt", "1.a"}, {"status", "ok"}},
                                               {{"receipt", "2.b"}, {"status", "gone"}},
                                               {{"receipt", "3.c"}, {"status", "expired"}}}}}));
}

} // namespace
