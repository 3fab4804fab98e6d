#include "transport/operation.hpp"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

namespace {

using namespace ron;
using namespace ron::transport;
using core::ec;

operation row(std::string_view method, std::string_view path, std::string_view name = {}) {
  operation op;
  op.name = name;
  op.method = method;
  op.path = path;
  return op;
}

operation_table table() {
  return operation_table{{
      row("GET", "/"),
      row("PUT", "/v1/o", "o.put"),
      row("PUT", "/v1/o/{cid}"),
      row("GET", "/v1/o/{cid}", "o.get"),
      row("DELETE", "/v1/o/{cid}"),
      row("GET", "/v1/o/special"),
      row("GET", "/v1/names", "name.list"),
      row("PUT", "/v1/names/{name...}", "name.put"),
      row("GET", "/v1/view/{view}/{id...}", "view"),
      row("POST", "/v1/mailbox/{topic}/receive", "mb.recv"),
      row("POST", "/v1/mailbox/{topic}", "mb.send"),
      row("", "", "ping"),
  }};
}

TEST(OperationTable, EveryRouteHasItsOwnLabel) {
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < route_count; ++i)
    seen.insert(to_string(static_cast<route>(i)));
  EXPECT_EQ(seen.size(), route_count);
  EXPECT_EQ(to_string(route::o), "o");
  EXPECT_EQ(to_string(route::mailbox), "mailbox");
  EXPECT_EQ(to_string(static_cast<route>(99)), "other");
}

TEST(OperationTable, FindsByMethodAndPath) {
  auto t = table();
  auto m = t.find_http("GET", "/v1/o/b3:00");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->op->name, "o.get");
  ASSERT_EQ(m->params.size(), 1u);
  EXPECT_EQ(m->params[0].first, "cid");
  EXPECT_EQ(m->params[0].second, "b3:00");
  EXPECT_EQ(t.find_http("PUT", "/v1/o")->op->name, "o.put");
  EXPECT_EQ(t.find_http("POST", "/v1/mailbox/a/receive")->op->name, "mb.recv");
  EXPECT_EQ(t.find_http("GET", "/")->op->path, "/");
}

TEST(OperationTable, ALiteralWinsOverAParameter) {
  auto t = table();
  EXPECT_EQ(t.find_http("GET", "/v1/o/special")->op->path, "/v1/o/special");
  EXPECT_EQ(t.find_http("GET", "/v1/o/speciall")->op->path, "/v1/o/{cid}");
}

TEST(OperationTable, ATailTakesTheRestWithItsSlashes) {
  auto t = table();
  auto m = t.find_http("GET", "/v1/view/object/alice/photos/1%20a");
  ASSERT_TRUE(m);
  ASSERT_EQ(m->params.size(), 2u);
  EXPECT_EQ(m->params[0].second, "object");
  EXPECT_EQ(m->params[1].first, "id");
  EXPECT_EQ(m->params[1].second, "alice/photos/1 a");
  EXPECT_EQ(t.find_http("PUT", "/v1/names/a//b")->params[0].second, "a//b");
}

TEST(OperationTable, HeadIsServedByTheGetRow) {
  auto t = table();
  EXPECT_EQ(t.find_http("HEAD", "/v1/o/x")->op->name, "o.get");
  EXPECT_EQ(t.find_http("HEAD", "/v1/o").error().code, ec::method_not_allowed);
}

TEST(OperationTable, OtherMethodsListWhatIsAllowed) {
  auto r = table().find_http("POST", "/v1/o/x");
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::method_not_allowed);
  EXPECT_EQ(r.error().message, "PUT, GET, HEAD, DELETE");
}

TEST(OperationTable, UnknownPathsAreNotFound) {
  auto t = table();
  for (auto path :
       {"", "v1/o", "/v1", "/v1/", "/v1/o/", "/v1/o/a/b", "/v1/names/", "//v1/o", "/v1/view/object",
        "/v1/view/object/", "/v1/view//x", "/V1/o", "/v1/mailbox//receive"})
    EXPECT_EQ(t.find_http("GET", path).error().code, ec::not_found) << path;
}

TEST(OperationTable, DecodesExactlyOnce) {
  auto t = table();
  EXPECT_EQ(t.find_http("GET", "/v1/o/a%2541")->params[0].second, "a%41");
  EXPECT_EQ(t.find_http("GET", "/v1/o/%C3%a4")->params[0].second, "\xc3\xa4");
  EXPECT_EQ(t.find_http("GET", "/v1/o/a+b")->params[0].second, "a+b");
  EXPECT_EQ(t.find_http("PUT", "/v1/%6F")->op->name, "o.put") << "literals are compared decoded";
}

TEST(OperationTable, EscapesThatWouldSplitOrEndTextAreRefused) {
  auto t = table();
  for (auto path : {"/v1/o/a%2Fb", "/v1/o/a%2fb", "/v1/o/%00", "/v1/o/%", "/v1/o/%1", "/v1/o/%zz",
                    "/v1/o/%%41", "/v1/view/object/a%2Fb", "/v1/view/object/a%00", "/v1%2Fo/a"})
    EXPECT_EQ(t.find_http("GET", path).error().code, ec::bad_request) << path;
}

TEST(OperationTable, FindsByName) {
  auto t = table();
  EXPECT_EQ((*t.find_oap("o.put"))->path, "/v1/o");
  EXPECT_EQ((*t.find_oap("ping"))->path, "");
  EXPECT_EQ(t.find_oap("o.nothing").error().code, ec::unknown_operation);
  EXPECT_EQ(t.find_oap("").error().code, ec::unknown_operation);
}

TEST(OperationTable, SurvivesACopy) {
  auto t = std::make_unique<operation_table>(table());
  operation_table copy = *t;
  t.reset();
  auto m = copy.find_http("GET", "/v1/o/x");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->op, &copy.rows()[3]);
}

TEST(OperationTable, RefusesDuplicatesAndMalformedRows) {
  auto make = [](std::vector<operation> rows) {
    return operation_table{std::move(rows)};
  };
  EXPECT_THROW(make({row("GET", "/a"), row("GET", "/a")}), std::invalid_argument);
  EXPECT_THROW(make({row("GET", "/{a}"), row("GET", "/{b}")}), std::invalid_argument)
      << "the same path under another parameter name";
  EXPECT_THROW(make({row("GET", "/{a...}"), row("GET", "/{b...}")}), std::invalid_argument);
  EXPECT_THROW(make({row("GET", "/a", "x"), row("GET", "/b", "x")}), std::invalid_argument);
  EXPECT_THROW(make({row("GET", "a")}), std::invalid_argument);
  EXPECT_THROW(make({row("", "/a")}), std::invalid_argument);
  EXPECT_THROW(make({row("HEAD", "/a")}), std::invalid_argument);
  EXPECT_THROW(make({row("GET", "/{a...}/b")}), std::invalid_argument);
  EXPECT_THROW(make({row("GET", "/a{b}")}), std::invalid_argument);
  EXPECT_THROW(make({row("GET", "/{}")}), std::invalid_argument);
  EXPECT_NO_THROW(
      make({row("GET", "/a"), row("PUT", "/a"), row("GET", "/{a}"), row("GET", "/{a...}")}));
}

TEST(OperationTable, ALongPathOfSlashesIsJustUnknown) {
  EXPECT_EQ(table().find_http("GET", std::string(4096, '/')).error().code, ec::not_found);
}

} // namespace
