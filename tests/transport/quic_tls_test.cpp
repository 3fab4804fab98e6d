// What becomes of TLS when the handshake is complete.
#include "transport/quic_sim.hpp"

#include <ngtcp2/ngtcp2_crypto.h>
#include <openssl/ssl.h>

#include <array>

namespace ron::test {
namespace {

using phase = quic::connection::phase;

/// The last session of OpenSSL that shook hands as a client: the way to its ngtcp2.
const SSL* last_client = nullptr;

void note_client(const SSL* ssl, int, int) {
  last_client = ssl;
}

class QuicTls : public testing::Test {
public:
  quic_sim s{std::random_device{}()};
};

TEST_F(QuicTls, AServerKnowsWhatWasAgreedWhenTlsIsGone) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  const auto ours = s.peer_of(0)->connection->tls();
  const auto theirs = c.connection->tls();
  EXPECT_EQ(ours.version, "TLSv1.3");
  EXPECT_EQ(ours.alpn, "oap/1");
  EXPECT_EQ(ours.cipher, theirs.cipher);
  EXPECT_EQ(ours.group, theirs.group);
  EXPECT_FALSE(ours.resumed);
}

/// RFC 9001, 6: a client's KeyUpdate of TLS is a connection error.
TEST_F(QuicTls, AClientThatGoesOnWithTlsBehindTheHandshakeIsTurnedAway) {
  SSL_CTX_set_info_callback(s.client_tls("oap/1", {}).native(), note_client);
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  ASSERT_NE(last_client, nullptr);
  auto* ref = static_cast<ngtcp2_crypto_conn_ref*>(SSL_get_app_data(last_client));
  ASSERT_NE(ref, nullptr);
  constexpr std::array<std::uint8_t, 5> key_update{24, 0, 0, 1, 0}; // RFC 8446, 4.6.3
  ASSERT_EQ(ngtcp2_conn_submit_crypto_data(ref->get_conn(ref), NGTCP2_ENCRYPTION_LEVEL_1RTT,
                                           key_update.data(), key_update.size()),
            0);
  ASSERT_TRUE(s.run([&] { return c.connection->state() == phase::draining; }));
  constexpr std::uint64_t unexpected_message = 0x100 + 10; // RFC 9001, 4.8
  EXPECT_TRUE(c.connection->ending().by_peer);
  EXPECT_FALSE(c.connection->ending().application);
  EXPECT_EQ(c.connection->ending().code, unexpected_message);
  EXPECT_EQ(s.peer_of(0)->connection->ending().text, "TLS after the handshake");
}

} // namespace
} // namespace ron::test
