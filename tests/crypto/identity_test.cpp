#include "core/crypto/identity.hpp"

#include "core/crypto/digest.hpp"
#include "core/crypto/secure_wipe.hpp"
#include "core/crypto/tickets.hpp"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace {

using namespace ron;
using core::crypto::identity;

/// Writes a file for one test and removes it.
class temp_file {
public:
  temp_file(const std::string& name, std::string_view text)
    : path_(::testing::TempDir() + std::to_string(::getpid()) + '-' + name) {
    std::ofstream{path_} << text;
  }
  ~temp_file() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

std::string key_pem(const identity& id) {
  core::crypto::bio_ptr out{BIO_new(BIO_s_mem())};
  PEM_write_bio_PrivateKey(out.get(), id.key(), nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  auto n = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(n)};
}

TEST(Identity, LoadsAChainAndItsKey) {
  auto made = identity::make_development().value();
  auto issuer = identity::make_development().value();
  temp_file cert{"identity_test_chain.pem", made->chain_pem() + issuer->chain_pem()};
  temp_file key{"identity_test_chain_key.pem", key_pem(*made)};
  auto loaded = identity::load(cert.path(), key.path());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ((*loaded)->cert_sha256(), made->cert_sha256());
  EXPECT_EQ((*loaded)->chain().size(), 2u);
}

TEST(Identity, EveryDevelopmentCertificateIsNew) {
  auto a = identity::make_development();
  auto b = identity::make_development();
  ASSERT_TRUE(a && b);
  EXPECT_EQ((*a)->cert_sha256().size(), 64u);
  EXPECT_NE((*a)->cert_sha256(), (*b)->cert_sha256());
  EXPECT_EQ((*a)->chain().size(), 1u);
  EXPECT_EQ((*a)->cert_sha256(), core::crypto::cert_sha256_hex((*a)->leaf()));
}

TEST(Identity, NamesTheFileThatIsWrong) {
  temp_file cert{"identity_test_cert.pem", (*identity::make_development())->chain_pem()};
  temp_file key{"identity_test_key.pem", key_pem(*identity::make_development().value())};
  temp_file junk{"identity_test_junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"};
  temp_file huge{"identity_test_huge.pem", std::string(300'000, 'x')};
  temp_file many{"identity_test_many.pem", [&] {
                   std::string all;
                   for (int i = 0; i < 9; ++i)
                     all += (*identity::make_development())->chain_pem();
                   return all;
                 }()};
  auto expect = [](const std::string& c, const std::string& k, const std::string& blamed) {
    auto r = identity::load(c, k);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, core::ec::bad_request);
    EXPECT_TRUE(r.error().message.starts_with(blamed)) << r.error().message;
  };
  expect("/nonexistent", key.path(), "/nonexistent");
  expect(junk.path(), key.path(), junk.path());
  expect(huge.path(), key.path(), huge.path());
  expect(many.path(), key.path(), many.path());
  expect(cert.path(), cert.path(), cert.path());
  expect(cert.path(), key.path(), key.path()); // a good key, but of another certificate
}

TEST(TicketKeys, KeepsThree) {
  core::crypto::ticket_keys keys;
  auto first = keys.newest();
  EXPECT_TRUE(keys.find(first.name));
  keys.rotate();
  keys.rotate();
  EXPECT_TRUE(keys.find(first.name));
  EXPECT_NE(keys.newest().name, first.name);
  keys.rotate();
  EXPECT_FALSE(keys.find(first.name));
}

TEST(Digest, KnownAnswers) {
  auto hex = [](std::string_view s) {
    return core::to_hex(
      core::crypto::sha256({reinterpret_cast<const std::uint8_t*>(s.data()), s.size()}));
  };
  EXPECT_EQ(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(SecureWipe, LeavesNothing) {
  std::array<std::uint8_t, 32> secret;
  secret.fill(0x5a);
  core::crypto::secure_wipe(secret);
  EXPECT_TRUE(std::ranges::all_of(secret, [](auto x) { return x == 0; }));
  std::string text = "secret";
  core::crypto::secure_wipe(text);
  EXPECT_TRUE(text.empty());
}

} // namespace
