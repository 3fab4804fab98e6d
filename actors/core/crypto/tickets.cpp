#include "core/crypto/tickets.hpp"

#include "core/crypto/secure_wipe.hpp"
#include "core/ids.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <algorithm>

namespace ron::core::crypto {

namespace {

// Fetching an algorithm takes a lock and a search; it is done once.
const EVP_CIPHER* ticket_cipher() {
  static const cipher_ptr cipher{EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)};
  return cipher.get();
}

int keys_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

bool set_mac_key(EVP_MAC_CTX* mac, ticket_key& key) {
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
    OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, params) == 1;
}

ticket_key make_key() {
  ticket_key fresh;
  random_bytes(fresh.name);
  random_bytes(fresh.cipher);
  random_bytes(fresh.mac);
  return fresh;
}

// The values are those of SSL_CTX_set_tlsext_ticket_key_evp_cb.
enum ticket_answer { ticket_error = -1, ticket_unknown = 0, ticket_sealed = 1, ticket_renew = 2 };

int seal(ticket_keys& keys, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
         EVP_MAC_CTX* mac) {
  auto key = keys.newest();
  random_bytes({iv, static_cast<std::size_t>(EVP_CIPHER_get_iv_length(ticket_cipher()))});
  std::copy(key.name.begin(), key.name.end(), name);
  if (!EVP_EncryptInit_ex2(cipher, ticket_cipher(), key.cipher.data(), iv, nullptr)
      || !set_mac_key(mac, key))
    return ticket_error;
  return ticket_sealed;
}

int open(ticket_keys& keys, const unsigned char* name, const unsigned char* iv,
         EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  auto key = keys.find({name, ticket_key{}.name.size()});
  if (!key)
    return ticket_unknown;
  if (!set_mac_key(mac, *key)
      || !EVP_DecryptInit_ex2(cipher, ticket_cipher(), key->cipher.data(), iv, nullptr))
    return ticket_error;
  return ticket_renew;
}

int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int sealing) {
  auto* ctx = SSL_get_SSL_CTX(ssl);
  auto& keys = *static_cast<ticket_keys*>(SSL_CTX_get_ex_data(ctx, keys_index()));
  return sealing ? seal(keys, name, iv, cipher, mac) : open(keys, name, iv, cipher, mac);
}

} // namespace

ticket_key::~ticket_key() {
  secure_wipe(cipher);
  secure_wipe(mac);
}

ticket_keys::ticket_keys() {
  rotate();
}

void ticket_keys::rotate() {
  const auto fresh = make_key();
  std::lock_guard lock{mutex_};
  std::shift_right(keys_.begin(), keys_.end(), 1);
  keys_[0] = fresh;
  count_ = std::min(count_ + 1, kept);
}

void ticket_keys::forget() {
  const auto fresh = make_key();
  std::lock_guard lock{mutex_};
  for (auto& key : keys_)
    key = fresh; // what was there is overwritten
  count_ = 1;
}

ticket_key ticket_keys::newest() const {
  std::lock_guard lock{mutex_};
  return keys_[0];
}

std::optional<ticket_key> ticket_keys::find(byte_view name) const {
  std::lock_guard lock{mutex_};
  for (std::size_t i = 0; i < count_; ++i)
    if (std::ranges::equal(keys_[i].name, name))
      return keys_[i];
  return std::nullopt;
}

void use_ticket_keys(ssl_ctx_st* ctx, ticket_keys* keys) {
  SSL_CTX_set_ex_data(ctx, keys_index(), keys);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}

} // namespace ron::core::crypto
