#include "core/crypto/tls_session.hpp"

#include "crypto/tls_pair.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <random>

namespace {

using namespace ron;
using core::config::pq_mode;
using core::crypto::tls_context;
using core::crypto::tls_session;
using test::tls_pair;
using test::tls_world;

std::string noise(std::size_t n, unsigned seed) {
  std::mt19937 random{seed};
  std::string out(n, '\0');
  for (auto& c : out)
    c = static_cast<char>(random());
  return out;
}

TEST(TlsSession, AgreesOnTls13WithAlpnAndTheBestCipher) {
  tls_world world;
  auto p = world.pair();
  ASSERT_TRUE(p.pass());
  ASSERT_TRUE(p.open());
  for (auto info : {p.client.info(), p.server.info()}) {
    EXPECT_EQ(info.version, "TLSv1.3");
    EXPECT_EQ(info.cipher, "TLS_AES_128_GCM_SHA256");
    EXPECT_EQ(info.group, "X25519");
    EXPECT_EQ(info.alpn, "oap/1");
    EXPECT_FALSE(info.resumed);
  }
  EXPECT_EQ(p.client.info().peer_cert_sha256, world.certificate->cert_sha256());
  EXPECT_EQ(p.server.info().peer_cert_sha256, "");
}

TEST(TlsSession, CarriesAnySizesBothWays) {
  auto p = tls_world{}.pair();
  ASSERT_TRUE(p.pass());
  std::string up, down;
  for (std::size_t n : {0, 1, 37, 4'095, 4'096, 4'097, 16'384, 16'385, 65'536, 300'001}) {
    auto text = noise(n, static_cast<unsigned>(n));
    std::vector<core::bytes> slices;
    for (std::size_t i = 0; i < n; i += 5'000)
      slices.push_back(core::bytes::copy(std::string_view{text}.substr(i, 5'000)));
    ASSERT_TRUE(p.client.write(slices));
    ASSERT_TRUE(tls_pair::say(p.server, text));
    up += text;
    down += text;
    ASSERT_TRUE(p.pass());
  }
  EXPECT_TRUE(p.server_got == up);
  EXPECT_TRUE(p.client_got == down);
}

TEST(TlsSession, ManySmallSlicesShareRecords) {
  auto p = tls_world{}.pair();
  ASSERT_TRUE(p.pass());
  std::vector<core::bytes> slices(1'000, core::bytes::copy("0123456789"));
  ASSERT_TRUE(p.client.write(slices));
  EXPECT_LT(p.client.output_bytes(), 10'000 + 4 * 22u);
  ASSERT_TRUE(p.pass());
  EXPECT_EQ(p.server_got.size(), 10'000u);
}

TEST(TlsSession, GathersRecordsIntoFewSlabs) {
  auto p = tls_world{}.pair();
  ASSERT_TRUE(p.pass());
  std::vector<core::bytes> slices(4, core::bytes::copy(noise(60'000, 1)));
  ASSERT_TRUE(p.server.write(slices));
  std::vector<core::bytes> out;
  p.server.take_output(out);
  EXPECT_EQ(out.size(), 1u);
  EXPECT_EQ(p.server.output_bytes(), 0u);
}

TEST(TlsSession, WorksWhenFedByteByByte) {
  auto p = tls_world{}.pair();
  ASSERT_TRUE(p.pass(1));
  ASSERT_TRUE(p.open());
  auto text = noise(40'000, 7);
  ASSERT_TRUE(tls_pair::say(p.client, text));
  ASSERT_TRUE(p.pass(1));
  EXPECT_TRUE(p.server_got == text);
}

TEST(TlsSession, StopsAtAFullRoomAndGoesOn) {
  auto p = tls_world{}.pair();
  ASSERT_TRUE(p.pass());
  auto text = noise(100'000, 3);
  ASSERT_TRUE(tls_pair::say(p.client, text));
  auto ciphertext = test::drain(p.client);
  core::byte_view rest{reinterpret_cast<const std::uint8_t*>(ciphertext.data()),
                       ciphertext.size()};
  std::string got;
  std::array<std::uint8_t, 1'000> room;
  for (;;) {
    auto done = p.server.feed(rest, room);
    ASSERT_TRUE(done);
    got.append(reinterpret_cast<const char*>(room.data()), done->produced);
    rest = rest.subspan(done->consumed);
    if (done->produced < room.size())
      break;
  }
  EXPECT_TRUE(rest.empty());
  EXPECT_TRUE(got == text);
}

TEST(TlsSession, RoomForTakesEverythingInOneCall) {
  auto p = tls_world{}.pair();
  ASSERT_TRUE(p.pass());
  auto text = noise(200'000, 5);
  ASSERT_TRUE(tls_pair::say(p.client, text));
  auto ciphertext = test::drain(p.client);
  core::byte_view rest{reinterpret_cast<const std::uint8_t*>(ciphertext.data()),
                       ciphertext.size()};
  std::mt19937 random{9};
  std::size_t got = 0;
  while (!rest.empty()) {
    auto n = std::min<std::size_t>(rest.size(), 1 + random() % 40'000);
    std::vector<std::uint8_t> room(p.server.holds_partial() ? tls_session::room_for(n) : n);
    auto done = p.server.feed(rest.first(n), room);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->consumed, n);
    EXPECT_LT(done->produced, room.size());
    got += done->produced;
    rest = rest.subspan(n);
  }
  EXPECT_EQ(got, text.size());
}

TEST(TlsSession, ResumesWithATicketOnce) {
  tls_world world;
  auto client = tls_context::make_client(world.client_options()).value();
  auto first = tls_world::join(client, tls_context::make_server(world.server_options()).value());
  ASSERT_TRUE(first.pass());
  auto ticket = first.client.take_ticket();
  ASSERT_TRUE(ticket);
  EXPECT_FALSE(first.client.take_ticket());
  // Another context of the same process, as on another shard.
  auto server = tls_context::make_server(world.server_options()).value();
  auto second = tls_world::join(client, server, ticket);
  ASSERT_TRUE(second.pass());
  EXPECT_TRUE(second.client.info().resumed);
  EXPECT_TRUE(second.server.info().resumed);
  EXPECT_TRUE(second.client.take_ticket()) << "a resumption brings the next ticket";
}

TEST(TlsSession, ATicketOutlivesAConnectionThatBroke) {
  tls_world world;
  auto client = tls_context::make_client(world.client_options()).value();
  auto server = tls_context::make_server(world.server_options()).value();
  std::optional<core::crypto::tls_ticket> ticket;
  {
    auto first = tls_world::join(client, server);
    ASSERT_TRUE(first.pass());
    ticket = first.client.take_ticket();
    ASSERT_TRUE(ticket);
  } // without close_notify
  auto second = tls_world::join(client, server, ticket);
  ASSERT_TRUE(second.pass());
  EXPECT_TRUE(second.server.info().resumed);
}

TEST(TlsSession, TicketsOutliveTwoRotationsAndNoThird) {
  tls_world world;
  auto client = tls_context::make_client(world.client_options()).value();
  auto server = tls_context::make_server(world.server_options()).value();
  auto first = tls_world::join(client, server);
  ASSERT_TRUE(first.pass());
  auto ticket = first.client.take_ticket();
  world.tickets->rotate();
  world.tickets->rotate();
  auto second = tls_world::join(client, server, ticket);
  ASSERT_TRUE(second.pass());
  EXPECT_TRUE(second.server.info().resumed);
  world.tickets->rotate();
  auto third = tls_world::join(client, server, ticket);
  ASSERT_TRUE(third.pass()) << "an unknown ticket is a full handshake";
  EXPECT_FALSE(third.server.info().resumed);
}

TEST(TlsSession, NoTicketOutlivesForgetting) {
  tls_world world;
  auto client = tls_context::make_client(world.client_options()).value();
  auto server = tls_context::make_server(world.server_options()).value();
  auto first = tls_world::join(client, server);
  ASSERT_TRUE(first.pass());
  auto ticket = first.client.take_ticket();
  ASSERT_TRUE(ticket);
  world.tickets->forget();
  auto second = tls_world::join(client, server, ticket);
  ASSERT_TRUE(second.pass());
  EXPECT_FALSE(second.server.info().resumed);
}

TEST(TlsSession, TicketWorksOnlyWithTheTrustItCameFrom) {
  tls_world world;
  auto server = tls_context::make_server(world.server_options()).value();
  auto client = tls_context::make_client(world.client_options()).value();
  auto first = tls_world::join(client, server);
  ASSERT_TRUE(first.pass());
  auto ticket = first.client.take_ticket();
  auto options = world.client_options();
  options.pin = std::string(64, '0');
  auto other = tls_context::make_client(options).value();
  auto second = tls_world::join(other, server, ticket);
  EXPECT_FALSE(second.pass());
  EXPECT_FALSE(second.client.is_open());
  auto renamed = tls_world::join(client, server, ticket, "other.example");
  ASSERT_TRUE(renamed.pass());
  EXPECT_FALSE(renamed.client.info().resumed);
}

TEST(TlsSession, RefusesAWrongPin) {
  tls_world world;
  auto options = world.client_options();
  options.pin[0] = options.pin[0] == '0' ? '1' : '0';
  auto p = tls_world::join(tls_context::make_client(options).value(),
                           tls_context::make_server(world.server_options()).value());
  EXPECT_FALSE(p.pass());
  ASSERT_TRUE(p.client_error);
  EXPECT_EQ(p.client_error->code, core::ec::unauth);
  EXPECT_FALSE(p.client.is_open());
}

/// A file of this process: tests run side by side.
std::string own_path(const char* name) {
  return ::testing::TempDir() + "ron-tls-" + std::to_string(::getpid()) + '-' + name;
}

class TlsCaFile : public ::testing::Test {
protected:
  void SetUp() override {
    path = own_path("ca.pem");
    std::ofstream{path} << world.certificate->chain_pem();
  }
  void TearDown() override { std::remove(path.c_str()); }
  tls_pair join(const std::string& name) {
    core::crypto::tls_client_options options{.ca_file = path, .alpn = {"oap/1"}};
    return tls_world::join(tls_context::make_client(options).value(),
                           tls_context::make_server(world.server_options()).value(),
                           std::nullopt, name);
  }
  tls_world world;
  std::string path;
};

TEST_F(TlsCaFile, VerifiesTheHostName) {
  for (auto* name : {"localhost", "127.0.0.1", "::1"}) {
    auto p = join(name);
    EXPECT_TRUE(p.pass()) << name << ": " << (p.client_error ? p.client_error->message : "");
    EXPECT_TRUE(p.open());
  }
  for (auto* name : {"other.example", "127.0.0.2"}) {
    auto p = join(name);
    EXPECT_FALSE(p.pass()) << name;
    ASSERT_TRUE(p.client_error);
    EXPECT_EQ(p.client_error->code, core::ec::unauth);
  }
}

TEST_F(TlsCaFile, RefusesAnotherAuthority) {
  world.certificate = core::crypto::identity::make_development().value();
  auto p = join("localhost");
  EXPECT_FALSE(p.pass());
  ASSERT_TRUE(p.client_error);
  EXPECT_EQ(p.client_error->code, core::ec::unauth);
}

TEST(TlsSession, RefusesAlpnWithoutOverlap) {
  tls_world world;
  auto options = world.client_options();
  options.alpn = {"h2", "http/1.1"};
  auto p = tls_world::join(tls_context::make_client(options).value(),
                           tls_context::make_server(world.server_options()).value());
  EXPECT_FALSE(p.pass());
  ASSERT_TRUE(p.server_error);
  ASSERT_TRUE(p.client_error) << "the peer is told by an alert";
  EXPECT_NE(p.client_error->message.find("no application protocol"), std::string::npos)
    << p.client_error->message;
}

TEST(TlsSession, AcceptsAClientWithoutAlpn) {
  tls_world world;
  auto options = world.client_options();
  options.alpn = {};
  auto p = tls_world::join(tls_context::make_client(options).value(),
                           tls_context::make_server(world.server_options()).value());
  ASSERT_TRUE(p.pass());
  EXPECT_EQ(p.server.alpn(), "");
}

TEST(TlsSession, PostQuantumGroupByMode) {
  struct {
    pq_mode client, server;
    const char* group;
  } cases[] = {
    {pq_mode::prefer, pq_mode::prefer, "X25519MLKEM768"},
    {pq_mode::require, pq_mode::prefer, "X25519MLKEM768"},
    {pq_mode::prefer, pq_mode::require, "X25519MLKEM768"},
    {pq_mode::off, pq_mode::prefer, "X25519"},
    {pq_mode::prefer, pq_mode::off, "X25519"},
    {pq_mode::off, pq_mode::require, nullptr},
    {pq_mode::require, pq_mode::off, nullptr},
  };
  tls_world world;
  for (auto& c : cases) {
    auto server = world.server_options();
    auto client = world.client_options();
    server.pq = c.server;
    client.pq = c.client;
    auto p = tls_world::join(tls_context::make_client(client).value(),
                             tls_context::make_server(server).value());
    EXPECT_EQ(p.pass(), c.group != nullptr);
    if (c.group) {
      const auto info = p.server.info();
      EXPECT_EQ(info.group, c.group);
      EXPECT_EQ(info.hybrid, info.group != "X25519");
      EXPECT_EQ(info.downgraded, c.server == pq_mode::prefer && !info.hybrid);
    }
  }
}

TEST(TlsSession, CloseNotifyTellsAnEndFromATruncation) {
  auto p = tls_world{}.pair();
  ASSERT_TRUE(p.pass());
  ASSERT_TRUE(tls_pair::say(p.client, "last words"));
  p.client.shutdown();
  EXPECT_FALSE(p.server.peer_closed());
  ASSERT_TRUE(p.pass());
  EXPECT_EQ(p.server_got, "last words");
  EXPECT_TRUE(p.server.peer_closed());
  EXPECT_FALSE(tls_pair::say(p.client, "more")) << "nothing after close_notify";
  // The other half is still open.
  ASSERT_TRUE(tls_pair::say(p.server, "answer"));
  p.server.shutdown();
  ASSERT_TRUE(p.pass());
  EXPECT_EQ(p.client_got, "answer");
  EXPECT_TRUE(p.client.peer_closed());
}

TEST(TlsSession, DetectsAFlippedByte) {
  tls_world world;
  auto p = world.pair();
  ASSERT_TRUE(p.pass());
  ASSERT_TRUE(tls_pair::say(p.client, "genuine"));
  auto ciphertext = test::drain(p.client);
  ciphertext[ciphertext.size() / 2] = static_cast<char>(ciphertext[ciphertext.size() / 2] ^ 1);
  EXPECT_FALSE(tls_pair::feed(p.server, ciphertext, p.server_got, p.server_error, 1'000));
  EXPECT_EQ(p.server_got, "");
  EXPECT_EQ(p.server_error->code, core::ec::bad_request);
  EXPECT_FALSE(p.server.feed({}, {})) << "a failure is final";
}

TEST(TlsSession, RefusesTls12) {
  // A ClientHello that offers TLS 1.2 and nothing newer (RFC 5246, 7.4.1.2).
  std::string hello{"\x03\x03", 2};
  hello += std::string(32, '\x11') + std::string(1, '\0');
  hello += std::string{"\x00\x02\xc0\x2b\x01\x00", 6}; // one suite, no compression
  std::string extensions{"\x00\x0a\x00\x04\x00\x02\x00\x1d", 8};
  extensions += std::string{"\x00\x0d\x00\x04\x00\x02\x04\x03", 8};
  hello += std::string{'\0', static_cast<char>(extensions.size())} + extensions;
  std::string message{"\x01\x00\x00", 3};
  message += static_cast<char>(hello.size());
  message += hello;
  std::string record{"\x16\x03\x01\x00", 4};
  record += static_cast<char>(message.size());
  record += message;

  tls_world world;
  auto server
    = tls_session::accept(tls_context::make_server(world.server_options()).value()).value();
  std::string got;
  std::optional<core::error> failed;
  EXPECT_FALSE(tls_pair::feed(server, record, got, failed, record.size()));
  EXPECT_EQ(failed->code, core::ec::bad_request);
  EXPECT_NE(failed->message.find("protocol"), std::string::npos) << failed->message;
}

TEST(TlsSession, RefusesGarbage) {
  tls_world world;
  for (unsigned seed = 0; seed < 200; ++seed) {
    auto server
      = tls_session::accept(tls_context::make_server(world.server_options()).value()).value();
    std::string got;
    std::optional<core::error> failed;
    tls_pair::feed(server, "G" + noise(500, seed), got, failed, 500);
    EXPECT_TRUE(failed);
    EXPECT_EQ(got, "");
  }
}

TEST(TlsSession, AsksForClientCertificates) {
  tls_world world;
  auto member = core::crypto::identity::make_development().value();
  auto stranger = core::crypto::identity::make_development().value();
  auto path = own_path("members.pem");
  std::ofstream{path} << member->chain_pem();
  auto options = world.server_options();
  options.client_ca = path;
  auto server = tls_context::make_server(options);
  std::remove(path.c_str());
  ASSERT_TRUE(server) << server.error().message;
  auto join_as = [&](core::crypto::identity_ptr who) {
    auto client = world.client_options();
    client.certificate = std::move(who);
    return tls_world::join(tls_context::make_client(client).value(), *server);
  };
  for (auto& who : {core::crypto::identity_ptr{}, stranger}) {
    auto p = join_as(who);
    EXPECT_FALSE(p.pass());
    EXPECT_FALSE(p.server.is_open());
    ASSERT_TRUE(p.server_error);
  }
}

TEST(TlsContext, NeverTrustsNobodyInParticular) {
  EXPECT_FALSE(tls_context::make_client({}));
  EXPECT_FALSE(tls_context::make_client({.pin = "12"}));
  EXPECT_FALSE(tls_context::make_client({.pin = std::string(64, 'g')}));
  EXPECT_FALSE(tls_context::make_client({.pin = std::string(64, 'a'), .ca_file = "/dev/null"}));
  EXPECT_FALSE(tls_context::make_client({.ca_file = "/nonexistent"}));
  EXPECT_TRUE(tls_context::make_client({.pin = std::string(64, 'A')}));
}

} // namespace
