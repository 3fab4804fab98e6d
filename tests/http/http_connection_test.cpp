#include "http/http_rig.hpp"

#include <zlib.h>

namespace {

using namespace ron;
using namespace ron::test;
using core::ec;
using namespace std::chrono_literals;

class HttpConnection : public HttpRig {};

std::string gzip(std::string_view text) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

// -- answers -------------------------------------------------------------------------

TEST_F(HttpConnection, AJsonRequestIsAnswered) {
  auto a = once(with_body("POST /echo/a%20b?limit=3", R"({"x":[1,2]})"));
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.json(), (core::json{{"id", "a b"}, {"limit", 3}, {"x", {1, 2}}, {"who", "toy"}}));
  EXPECT_EQ(a.field("content-type"), "application/json");
  EXPECT_FALSE(a.field("date").empty());
  EXPECT_EQ(a.field("connection"), "");
  EXPECT_TRUE(core::corr_id::parse(a.field("x-corr-id")));
  EXPECT_TRUE(core::trace_context::parse(a.field("traceparent")));
}

TEST_F(HttpConnection, IdsOfTheCallerComeBack) {
  auto a = once(request(
      "GET /nothing", "X-Corr-ID: 550e8400-e29b-41d4-a716-446655440000\r\n"
                      "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
  EXPECT_EQ(a.status, 404);
  EXPECT_EQ(a.field("x-corr-id"), "550e8400-e29b-41d4-a716-446655440000");
  EXPECT_EQ(a.json()["corr_id"], "550e8400-e29b-41d4-a716-446655440000");
  EXPECT_EQ(a.field("traceparent").substr(0, 36), "00-0af7651916cd43dd8448eb211c80319c-");
}

TEST_F(HttpConnection, TheSameInCbor) {
  auto body = core::dump_cbor({{"x", 1}});
  auto a = once(with_body("POST /echo/a", std::string{body.text()},
                          "Content-Type: application/cbor\r\nAccept: application/cbor\r\n"));
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.field("content-type"), "application/cbor");
  auto value = core::parse_cbor(core::bytes::copy(a.body).view());
  ASSERT_TRUE(value);
  EXPECT_EQ((*value)["x"], 1);
  a = once(request("GET /nothing", "Accept: application/cbor\r\n"));
  EXPECT_EQ((*core::parse_cbor(core::bytes::copy(a.body).view()))["reason"], "not_found");
}

TEST_F(HttpConnection, KeepsTheConnection) {
  auto fd = dial();
  auto in = reader(fd);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(send_all(fd, with_body("POST /echo/" + std::to_string(i), "{}")));
    EXPECT_EQ(in.next().json()["id"], std::to_string(i));
  }
  EXPECT_EQ(open(), 1);
}

TEST_F(HttpConnection, PipelinedRequestsAreAnsweredInOrder) {
  auto fd = dial();
  std::string all;
  for (int i = 0; i < 500; ++i)
    all += with_body("POST /echo/" + std::to_string(i), "{}");
  ASSERT_TRUE(send_all(fd, all));
  auto in = reader(fd);
  for (int i = 0; i < 500; ++i)
    ASSERT_EQ(in.next().json()["id"], std::to_string(i));
}

TEST_F(HttpConnection, OneRequestRunsAtATime) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /hold") + with_body("POST /echo/2", "{}")));
  ASSERT_TRUE(eventually([&] { return world.waiting == 1; }));
  EXPECT_EQ(gate.admitted, 1);
  shards.at(0).submit([this] { world.held.at(0)->reply(bare(204)); });
  auto in = reader(fd);
  EXPECT_EQ(in.next().status, 204);
  EXPECT_EQ(in.next().json()["id"], "2");
}

TEST_F(HttpConnection, HeadHasTheLengthButNoBody) {
  auto fd = dial();
  auto in = reader(fd);
  ASSERT_TRUE(send_all(fd, request("HEAD /tagged") + request("GET /tagged")));
  auto a = in.next(true);
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.field("content-length"), "7");
  EXPECT_EQ(in.next().body, R"({"a":1})");
}

TEST_F(HttpConnection, AKnownTagIsNotModified) {
  auto fd = dial();
  auto in = reader(fd);
  ASSERT_TRUE(send_all(fd, request("GET /tagged", "If-None-Match: \"v0\", \"v1\"\r\n")
                               + request("GET /tagged", "If-None-Match: \"v0\"\r\n")));
  auto a = in.next();
  EXPECT_EQ(a.status, 304);
  EXPECT_EQ(a.field("etag"), "\"v1\"");
  EXPECT_EQ(in.next().status, 200);
}

TEST_F(HttpConnection, ErrorsOfAnOperationKeepTheConnection) {
  auto fd = dial();
  auto in = reader(fd);
  ASSERT_TRUE(send_all(fd, request("GET /busy") + request("GET /drop") + request("GET /throw")
                               + request("GET /twice") + request("GET /nothing")
                               + request("DELETE /tagged") + request("GET /tagged")));
  auto a = in.next();
  EXPECT_EQ(a.status, 503);
  EXPECT_EQ(a.field("retry-after"), "2");
  EXPECT_EQ(a.json()["reason"], "busy");
  EXPECT_EQ(in.next().status, 500) << "an exchange that is dropped";
  EXPECT_EQ(in.next().status, 500) << "an operation that throws";
  EXPECT_EQ(in.next().status, 204) << "only the first answer counts";
  EXPECT_EQ(in.next().status, 404);
  a = in.next();
  EXPECT_EQ(a.status, 405);
  EXPECT_EQ(a.field("allow"), "GET, HEAD");
  EXPECT_EQ(in.next().status, 200);
}

TEST_F(HttpConnection, TheGateDecides) {
  gate.refuse = ec::unauth;
  auto a = once(request("GET /tagged"));
  EXPECT_EQ(a.status, 401);
  EXPECT_EQ(a.field("www-authenticate"), "Bearer");
  gate.refuse = ec::quota;
  a = once(request("GET /tagged"));
  EXPECT_EQ(a.status, 429);
  EXPECT_FALSE(a.field("retry-after").empty());
  EXPECT_EQ(answered(transport::outcome::throttled), 1u);
  EXPECT_EQ(service->metrics().requests.rejected.value(core::reject_reason::quota), 1u);
}

// -- requests that are refused ---------------------------------------------------------

TEST_F(HttpConnection, ABrokenHeadIsAnsweredAndTheConnectionEnds) {
  auto fd = dial();
  ASSERT_TRUE(
      send_all(fd, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + request("GET /tagged")));
  auto in = reader(fd);
  auto a = in.next();
  EXPECT_EQ(a.status, 400);
  EXPECT_EQ(a.field("connection"), "close");
  EXPECT_EQ(a.json()["reason"], "bad_request");
  EXPECT_FALSE(a.field("x-corr-id").empty());
  EXPECT_FALSE(a.field("traceparent").empty());
  EXPECT_TRUE(in.at_end());
  EXPECT_EQ(gate.admitted, 0);
}

TEST_F(HttpConnection, RefusalsByStatus) {
  EXPECT_EQ(once(request("GET /tagged", "X: " + std::string(8'192, 'a') + "\r\n")).status, 431);
  EXPECT_EQ(once(request("GET /" + std::string(5'000, 'a'))).status, 431);
  EXPECT_EQ(once(request("TRACE /tagged")).status, 405);
  EXPECT_EQ(once(request("CONNECT a:1")).status, 405);
  EXPECT_EQ(once(request("GET /tagged", "Expect: magic\r\n")).status, 417);
  EXPECT_EQ(once("\x16\x03\x01\x02").status, 400);
  EXPECT_EQ(once(request("POST /echo/a", "Content-Length: 1048577\r\n")).status, 413);
  EXPECT_EQ(once(with_body("POST /echo/a", "{}", "Content-Type: text/plain\r\n")).status, 415);
  EXPECT_EQ(once(with_body("POST /echo/a", "{")).status, 400);
  EXPECT_EQ(once(with_body("POST /echo/a", R"({"id":"b"})")).status, 400);
  EXPECT_EQ(once(with_body("GET /tagged", "{}")).status, 400);
}

TEST_F(HttpConnection, AHeadMayNotGrowForEver) {
  auto fd = dial();
  send_all(fd, "GET / HTTP/1.1\r\n");
  while (send_all(fd, std::string(1'024, 'a'))) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 0) == 1)
      break;
  }
  EXPECT_EQ(reader(fd).next().status, 431);
}

// -- bodies of JSON routes ---------------------------------------------------------------

TEST_F(HttpConnection, ChunkedJson) {
  auto a = once(request("POST /echo/a", "Transfer-Encoding: chunked\r\n",
                        "3\r\n{\"x\r\n4;e=1\r\n\":1}\r\n0\r\nT: 1\r\n\r\n"));
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.json()["x"], 1);
}

TEST_F(HttpConnection, ChunkedJsonIsCappedAsItArrives) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("POST /echo/a", "Transfer-Encoding: chunked\r\n")));
  std::string chunk = "10000\r\n" + std::string(65'536, ' ') + "\r\n";
  for (int i = 0; i < 17; ++i)
    if (!send_all(fd, chunk))
      break;
  auto a = reader(fd).next();
  EXPECT_EQ(a.status, 413);
  EXPECT_EQ(a.json()["reason"], "body_cap");
}

TEST_F(HttpConnection, CompressedJson) {
  auto body = gzip(R"({"x":"a somewhat longer text that is packed"})");
  auto a = once(with_body("POST /echo/a", body, "Content-Encoding: gzip\r\n"));
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.json()["x"], "a somewhat longer text that is packed");
}

TEST_F(HttpConnection, ABombIsRefused) {
  auto bomb = gzip(std::string(64u << 20, ' '));
  ASSERT_LT(bomb.size(), 100'000u);
  auto a = once(with_body("POST /echo/a", bomb, "Content-Encoding: gzip\r\n"));
  EXPECT_EQ(a.status, 413);
  EXPECT_EQ(a.json()["reason"], "ratio_cap");
  a = once(with_body("POST /echo/a", gzip(bomb), "Content-Encoding: gzip, gzip\r\n"));
  EXPECT_EQ(a.status, 415);
  EXPECT_EQ(a.json()["reason"], "coding");
}

TEST_F(HttpConnection, ContinueIsSentAfterAdmission) {
  auto fd = dial();
  ASSERT_TRUE(
      send_all(fd, request("POST /echo/a", "Expect: 100-continue\r\nContent-Length: 2\r\n")));
  EXPECT_EQ(receive_exactly(fd, 25), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(gate.admitted, 1);
  ASSERT_TRUE(send_all(fd, "{}" + request("GET /tagged")));
  auto in = reader(fd);
  EXPECT_EQ(in.next().status, 200);
  EXPECT_EQ(in.next().status, 200) << "the connection goes on";
}

TEST_F(HttpConnection, ContinueIsNotSentWhenTheAnswerIsNo) {
  gate.refuse = ec::forbidden;
  EXPECT_EQ(once(request("POST /echo/a", "Expect: 100-continue\r\nContent-Length: 2\r\n")).status,
            403);
  gate.refuse = ec::none;
  EXPECT_EQ(
      once(request("POST /echo/a", "Expect: 100-continue\r\nContent-Length: 2000000\r\n")).status,
      413);
  EXPECT_EQ(once(request("PUT /o", "Expect: 100-continue\r\nContent-Length: 200000000\r\n")).status,
            413);
}

// -- the end -----------------------------------------------------------------------------

TEST_F(HttpConnection, CloseIsKept) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /tagged", "Connection: close\r\n")));
  auto in = reader(fd);
  EXPECT_EQ(in.next().field("connection"), "close");
  EXPECT_TRUE(in.at_end());
}

TEST_F(HttpConnection, AHalfClosedClientGetsItsAnswer) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /hold")));
  ::shutdown(fd, SHUT_WR);
  ASSERT_TRUE(eventually([&] { return world.waiting == 1; }));
  shards.at(0).submit([this] { world.held.at(0)->reply(bare(204)); });
  auto in = reader(fd);
  EXPECT_EQ(in.next().status, 204);
  EXPECT_TRUE(in.at_end());
}

TEST_F(HttpConnection, ACallerThatResetsIsGone) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /hold")));
  ASSERT_TRUE(eventually([&] { return world.waiting == 1; }));
  test::reset(take(fd));
  EXPECT_TRUE(eventually([&] { return world.cancelled == 1; }));
  EXPECT_TRUE(eventually([&] { return open() == 0; }));
  EXPECT_EQ(answered(transport::outcome::error), 1u);
  EXPECT_EQ(gate.slots, 0);
}

TEST_F(HttpConnection, AWaiterThatLeavesIsGone) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /wait")));
  ASSERT_TRUE(eventually([&] { return world.waiting == 1; }));
  take(fd).reset();
  EXPECT_TRUE(eventually([&] { return world.cancelled == 1; }));
}

TEST_F(HttpConnection, DrainAnswersWaitersAtOnceAndLetsRequestsFinish) {
  auto waiting = dial();
  auto running = dial();
  auto idle = dial();
  ASSERT_TRUE(send_all(waiting, request("GET /wait")));
  ASSERT_TRUE(eventually([&] { return world.waiting == 1; }));
  ASSERT_TRUE(send_all(running, request("GET /hold")));
  ASSERT_TRUE(eventually([&] { return world.waiting == 2; }));
  for (std::size_t i = 0; i < 3; ++i)
    caf::anon_send(connection(i), atom::drain_v);
  auto a = reader(waiting).next();
  EXPECT_EQ(a.status, 503);
  EXPECT_EQ(a.json()["reason"], "draining");
  EXPECT_EQ(receive_some(idle), "");
  shards.at(0).submit([this] { world.held.at(1)->reply(bare(204)); });
  a = reader(running).next();
  EXPECT_EQ(a.status, 204);
  EXPECT_EQ(a.field("connection"), "close");
}

TEST_F(HttpConnection, AnExchangeOutlivesItsConnection) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /hold")));
  ASSERT_TRUE(eventually([&] { return world.waiting == 1; }));
  test::reset(take(fd));
  ASSERT_TRUE(eventually([&] { return open() == 0; }));
  std::atomic<bool> done{false};
  shards.at(0).submit([&] {
    auto x = world.held.at(0);
    EXPECT_TRUE(x->cancelled());
    x->reply(bare(200));
    x->fail({ec::internal, "late"});
    x->begin({});
    x->write(core::bytes::copy("x"), [] { ADD_FAILURE() << "room after the end"; });
    x->finish();
    x->read_body([](auto) { ADD_FAILURE() << "body after the end"; });
    x->on_cancel([] { ADD_FAILURE() << "cancelled twice"; });
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
}

// -- metrics -----------------------------------------------------------------------------

TEST_F(HttpConnection, EveryAnswerIsCountedOnce) {
  once(with_body("POST /echo/a", "{}"));
  once(request("GET /nothing"));
  once(request("GET /busy"));
  once("GET / HTTP/1.1\r\n\r\n");
  auto text = registry.expose();
  auto says = [&](const char* line) {
    return text.find(line) != std::string::npos;
  };
  EXPECT_TRUE(says("http_requests_total{route=\"name\",status=\"ok\"} 1"));
  EXPECT_TRUE(says("http_requests_total{route=\"other\",status=\"error\"} 2"));
  EXPECT_TRUE(says("http_requests_total{route=\"other\",status=\"throttled\"} 1"));
  EXPECT_TRUE(says("rejected_total{reason=\"not_found\"} 1"));
  EXPECT_TRUE(says("rejected_total{reason=\"bad_request\"} 1"));
  EXPECT_TRUE(says("rejected_total{reason=\"busy\"} 1"));
  EXPECT_TRUE(says("request_latency_seconds_count{route=\"name\"} 1"));
  EXPECT_TRUE(says("inflight_requests{route=\"name\"} 0"));
}

TEST_F(HttpConnection, StrangeRoutesAddNoSeries) {
  once(request("GET /tagged"));
  const auto before = registry.series();
  for (int i = 0; i < 50; ++i)
    once(request("GET /x" + std::to_string(i)));
  EXPECT_EQ(registry.series(), before);
}

} // namespace
