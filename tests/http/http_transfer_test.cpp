#include "http/http_rig.hpp"

#include <algorithm>
#include <fstream>
#include <thread>

namespace {

using namespace ron;
using namespace ron::test;
using core::ec;
using namespace std::chrono_literals;

class HttpTransfer : public HttpRig {};

std::size_t resident_bytes() {
  std::ifstream in{"/proc/self/statm"};
  std::size_t total = 0;
  std::size_t resident = 0;
  in >> total >> resident;
  return resident * 4'096;
}

// -- uploads -----------------------------------------------------------------------------

TEST_F(HttpTransfer, AnUploadComesInBoundedPieces) {
  auto data = toy_object(3'000'000);
  auto fd = dial();
  std::thread writer{[&] {
    send_all(fd, with_body("PUT /o", data));
  }};
  auto a = reader(fd).next();
  writer.join();
  EXPECT_EQ(a.status, 201);
  EXPECT_EQ(a.json()["size"], 3'000'000);
  EXPECT_LE(world.largest_piece, core::limits::chunk_bytes);
}

TEST_F(HttpTransfer, AChunkedUploadOfUnknownLength) {
  auto fd = dial();
  std::thread writer{[&] {
    send_all(fd, request("PUT /o", "Transfer-Encoding: chunked\r\n"));
    std::string chunk = "2710\r\n" + std::string(10'000, 'x') + "\r\n";
    for (int i = 0; i < 300; ++i)
      send_all(fd, chunk);
    send_all(fd, "0\r\n\r\n" + request("GET /tagged"));
  }};
  auto in = reader(fd);
  auto a = in.next();
  EXPECT_EQ(a.json()["size"], 3'000'000);
  EXPECT_EQ(in.next().status, 200);
  writer.join();
}

TEST_F(HttpTransfer, AnEmptyUpload) {
  EXPECT_EQ(once(request("PUT /o", "Content-Length: 0\r\n")).json()["size"], 0);
  EXPECT_EQ(once(request("PUT /o", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n")).json()["size"],
            0);
  EXPECT_EQ(once(request("PUT /o")).json()["size"], 0);
}

TEST_F(HttpTransfer, ACodedUploadIsRefused) {
  auto a = once(request("PUT /o", "Content-Length: 5\r\nContent-Encoding: gzip\r\n"));
  EXPECT_EQ(a.status, 415);
  EXPECT_EQ(a.json()["reason"], "coding");
}

TEST_F(HttpTransfer, AMalformedChunkFailsTheUpload) {
  auto a = once(request("PUT /o", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\nzz\r\n"));
  EXPECT_EQ(a.status, 400);
  EXPECT_EQ(a.field("connection"), "close");
}

TEST_F(HttpTransfer, AnEarlyErrorReachesAClientThatIsStillSending) {
  auto fd = dial();
  auto in = reader(fd);
  ASSERT_TRUE(send_all(fd, request("PUT /o", "Content-Length: 200000000\r\n")));
  std::string piece(10'000, 'x');
  send_all(fd, piece); // what was on its way when the answer came
  auto a = in.next();
  EXPECT_EQ(a.status, 413);
  EXPECT_EQ(a.field("connection"), "close");
  EXPECT_TRUE(in.at_end());
  for (int i = 0; i < 1'000 && send_all(fd, piece); ++i) {
    // nop
  }
  EXPECT_TRUE(eventually([&] { return open() == 0; })) << "10 MB are not discarded";
}

TEST_F(HttpTransfer, AResetInTheMiddleOfABodyIsACancel) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("PUT /o", "Content-Length: 1000\r\n") + "0123456789"));
  ASSERT_TRUE(eventually([&] { return world.uploaded == 10; }));
  test::reset(take(fd));
  EXPECT_TRUE(eventually([&] { return world.cancelled == 1; }));
  EXPECT_TRUE(eventually([&] { return open() == 0; }));
}

TEST_F(HttpTransfer, AnEndInTheMiddleOfABodyIsACancel) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("PUT /o", "Content-Length: 1000\r\n") + "0123456789"));
  ::shutdown(fd, SHUT_WR);
  EXPECT_TRUE(eventually([&] { return world.cancelled == 1; }));
}

TEST_F(HttpTransfer, AnUploadNobodyReadsStaysInTheSocket) {
  gate.refuse = ec::none;
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /hold")));
  ASSERT_TRUE(eventually([&] { return world.waiting == 1; }));
  // Pipelined behind a request that is not answered: one read at most is taken.
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  auto before = resident_bytes();
  std::string piece(65'536, 'x');
  std::size_t sent = 0;
  for (int stalled = 0; stalled < 50 && sent < (512u << 20);) {
    auto n = ::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
    sent += n > 0 ? static_cast<std::size_t>(n) : 0;
    pollfd p{fd, POLLOUT, 0};
    stalled += n > 0 ? 0 : ::poll(&p, 1, 10) == 0;
  }
  EXPECT_LT(sent, 64u << 20) << "the kernel's buffers, not ours";
  EXPECT_LT(resident_bytes(), before + (16u << 20));
}

// -- downloads ---------------------------------------------------------------------------

TEST_F(HttpTransfer, AnObjectIsSentWhole) {
  for (std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{65'536}, std::size_t{5'000'000}}) {
    auto a = once(request("GET /o/" + std::to_string(size)));
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(a.field("content-length"), std::to_string(size));
    EXPECT_EQ(a.field("accept-ranges"), "bytes");
    EXPECT_EQ(a.field("etag").substr(0, 6), "\"b3:07");
    EXPECT_EQ(a.field("x-content-type-options"), "nosniff");
    EXPECT_EQ(a.field("content-disposition"), "attachment");
    EXPECT_TRUE(a.body == toy_object(size));
  }
}

TEST_F(HttpTransfer, RangesOfAnObject) {
  auto get = [this](const std::string& range) {
    return once(request("GET /o/200000", "Range: " + range + "\r\n"));
  };
  auto whole = toy_object(200'000);
  auto a = get("bytes=100-70000");
  EXPECT_EQ(a.status, 206);
  EXPECT_EQ(a.field("content-range"), "bytes 100-70000/200000");
  EXPECT_TRUE(a.body == whole.substr(100, 69'901));
  a = get("bytes=199999-");
  EXPECT_EQ(a.status, 206);
  EXPECT_EQ(a.body, whole.substr(199'999));
  a = get("bytes=-5");
  EXPECT_EQ(a.body, whole.substr(199'995));
  a = get("bytes=200000-");
  EXPECT_EQ(a.status, 416);
  EXPECT_EQ(a.field("content-range"), "bytes */200000");
  EXPECT_EQ(a.json()["reason"], "range");
  EXPECT_EQ(get("bytes=0-1,5-6").status, 200);
  EXPECT_EQ(get("bytes=x").status, 200);
  a = once(request("GET /o/200000", "Range: bytes=0-1\r\nIf-Range: \"b3:other\"\r\n"));
  EXPECT_EQ(a.status, 200) << "another version: the whole object";
}

TEST_F(HttpTransfer, HeadAndNotModifiedSendNoBytes) {
  auto fd = dial();
  auto in = reader(fd);
  ASSERT_TRUE(send_all(fd, request("HEAD /o/1000000")));
  auto a = in.next(true);
  EXPECT_EQ(a.status, 200);
  EXPECT_EQ(a.field("content-length"), "1000000");
  ASSERT_TRUE(
      send_all(fd, request("GET /o/1000000", "If-None-Match: " + a.field("etag") + "\r\n")));
  auto b = in.next();
  EXPECT_EQ(b.status, 304);
  EXPECT_LE(world.produced, 131'072u) << "the operation is not kept writing";
  EXPECT_EQ(b.field("etag"), a.field("etag"));
  ASSERT_TRUE(send_all(fd, request("GET /o/10")));
  EXPECT_EQ(in.next().body, toy_object(10));
}

TEST_F(HttpTransfer, AClientThatDoesNotReadHoldsTheOperationBack) {
  auto fd = dial(32'768);
  ASSERT_TRUE(send_all(fd, request("GET /o/50000000")));
  std::uint64_t seen = 0;
  // Stands still at what the buffers hold.
  ASSERT_TRUE(eventually([&] {
    auto now = world.produced.load();
    return std::exchange(seen, now) == now && now > 0;
  }));
  EXPECT_LT(world.produced, 10'000'000u);
  auto a = reader(fd).next();
  EXPECT_TRUE(a.body == toy_object(50'000'000));
}

TEST_F(HttpTransfer, AnAnswerThatBreaksOffIsNoticed) {
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /cut")));
  auto text = receive_all(fd);
  EXPECT_NE(text.find("Content-Length: 1000"), std::string::npos);
  EXPECT_LT(text.size(), 1'000u);
}

// -- deadlines (short ones; what counts is that they act) ------------------------------------

TEST_F(HttpTransfer, ASilentConnectionIsClosed) {
  settings.connection.header_timeout = 50ms;
  EXPECT_EQ(receive_all(dial()), "");
}

TEST_F(HttpTransfer, ASlowHeadIsClosed) {
  settings.connection.header_timeout = 50ms;
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, "GET / HTTP/1.1\r\nX: "));
  auto a = reader(fd).next();
  EXPECT_EQ(a.status, 408);
  EXPECT_EQ(a.json()["reason"], "timeout");
}

TEST_F(HttpTransfer, AnIdleConnectionIsClosed) {
  settings.connection.idle_timeout = 50ms;
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /tagged")));
  auto in = reader(fd);
  EXPECT_EQ(in.next().status, 200);
  EXPECT_TRUE(in.at_end());
}

TEST_F(HttpTransfer, ASlowBodyIsClosed) {
  settings.connection.rate_window = 50ms;
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("PUT /o", "Content-Length: 1000000\r\n") + "abc"));
  auto in = reader(fd);
  EXPECT_EQ(in.next().status, 408);
  EXPECT_TRUE(in.at_end());
}

TEST_F(HttpTransfer, ASlowReaderIsClosed) {
  settings.connection.rate_window = 100ms;
  settings.connection.answer_rate_min = 1u << 30;
  auto fd = dial(32'768);
  ASSERT_TRUE(send_all(fd, request("GET /o/50000000")));
  EXPECT_TRUE(eventually([&] { return answered(transport::outcome::error) == 1; }));
  EXPECT_TRUE(eventually([&] { return open() == 0; }));
}

TEST_F(HttpTransfer, ALateAnswerIsATimeout) {
  settings.connection.answer_timeout = 50ms;
  auto fd = dial();
  ASSERT_TRUE(send_all(fd, request("GET /hold")));
  auto in = reader(fd);
  auto a = in.next();
  EXPECT_EQ(a.status, 504);
  EXPECT_EQ(a.json()["reason"], "downstream_timeout");
  EXPECT_TRUE(eventually([&] { return world.cancelled == 1; }));
  ASSERT_TRUE(send_all(fd, request("GET /tagged")));
  EXPECT_EQ(in.next().status, 200) << "the connection goes on";
}

TEST_F(HttpTransfer, TheCallersDeadlineIsKept) {
  auto a = once(request("GET /hold", "X-Deadline-Ms: 30\r\n"));
  EXPECT_EQ(a.status, 504);
  a = once(request("GET /wait", "X-Deadline-Ms: 30\r\n"));
  EXPECT_EQ(a.status, 504);
}

// -- TLS -----------------------------------------------------------------------------------

class HttpOverTls : public HttpRig {
public:
  tls_peer dial_tls() {
    auto options = keys.server_options();
    options.alpn = {"http/1.1"};
    auto server = core::crypto::tls_context::make_server(options).value();
    auto theirs_options = keys.client_options();
    theirs_options.alpn = {"http/1.1"};
    auto client = core::crypto::tls_context::make_client(theirs_options).value();
    auto [ours, theirs] = tcp_pair();
    launch(
        [fd = std::make_shared<transport::unique_fd>(std::move(ours)), server](auto& io,
                                                                               auto owner) {
          return transport::make_tls_link(io, std::move(*fd), "127.0.0.1:7",
                                          core::crypto::tls_session::accept(server).value(), owner);
        },
        transport::wire::https);
    return {std::move(theirs), core::crypto::tls_session::connect(client, "localhost").value()};
  }
  tls_world keys;
};

TEST_F(HttpOverTls, TheSameOverTls) {
  auto peer = dial_tls();
  ASSERT_TRUE(peer.shake_hands());
  answer_reader in{[&peer] {
    return peer.read_some();
  }};
  ASSERT_TRUE(peer.write(with_body("POST /echo/a", R"({"x":1})")));
  EXPECT_EQ(in.next().json()["x"], 1);
  ASSERT_TRUE(peer.write(with_body("PUT /o", toy_object(100'000))));
  EXPECT_EQ(in.next().json()["size"], 100'000);
  ASSERT_TRUE(peer.write(request("GET /o/3000000")));
  EXPECT_TRUE(in.next().body == toy_object(3'000'000));
  ASSERT_TRUE(peer.write(request("GET /tagged", "Connection: close\r\n")));
  EXPECT_EQ(in.next().status, 200);
  EXPECT_TRUE(in.at_end());
}

TEST_F(HttpOverTls, AHandshakeThatNeverEndsIsClosed) {
  settings.connection.header_timeout = 50ms;
  auto peer = dial_tls();
  EXPECT_EQ(receive_all(peer.fd()), "");
}

} // namespace
