#include "core/crypto/macaroon.hpp"

#include "core/crypto/digest.hpp"

#include <openssl/crypto.h>

#include <cstring>

namespace ron::core::crypto {

namespace {

// Field types of the v2 format.
enum field : std::uint8_t { eos = 0, location = 1, identifier = 2, vid = 4, signature = 6 };
constexpr std::uint8_t format_version = 2;

using digest = macaroon::signature_type;

byte_view view_of(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

// libmacaroons never uses the caller's key itself, but this derivation of it.
digest first_signature(byte_view root_key, std::string_view id) {
  std::array<std::uint8_t, 32> generator{};
  constexpr std::string_view text = "macaroons-key-generator";
  std::memcpy(generator.data(), text.data(), text.size());
  auto key = hmac_sha256(generator, root_key);
  auto out = hmac_sha256(key, view_of(id));
  OPENSSL_cleanse(key.data(), key.size());
  return out;
}

void put_varint(std::string& out, std::size_t v) {
  while (v >= 0x80) {
    out += static_cast<char>(0x80 | (v & 0x7f));
    v >>= 7;
  }
  out += static_cast<char>(v);
}

void put_field(std::string& out, field type, std::string_view data) {
  out += static_cast<char>(type);
  put_varint(out, data.size());
  out += data;
}

// Walks the fields of an encoded macaroon; every read is checked against what is left.
class field_reader {
public:
  explicit field_reader(byte_view rest) : rest_(rest) {}

  bool next_is(field type) const { return !rest_.empty() && rest_.front() == type; }
  bool skip_eos() {
    if (!next_is(eos))
      return false;
    rest_ = rest_.subspan(1);
    return true;
  }
  bool take(field type, std::string& out) {
    if (!next_is(type))
      return false;
    rest_ = rest_.subspan(1);
    std::size_t size = 0;
    if (!varint(size) || size > rest_.size())
      return false;
    out.assign(reinterpret_cast<const char*>(rest_.data()), size);
    rest_ = rest_.subspan(size);
    return true;
  }
  bool done() const { return rest_.empty(); }

private:
  bool varint(std::size_t& out) {
    out = 0;
    for (int shift = 0; shift <= 14 && !rest_.empty(); shift += 7) { // three bytes: > 4 KiB
      auto b = rest_.front();
      rest_ = rest_.subspan(1);
      out |= std::size_t(b & 0x7f) << shift;
      if (b < 0x80)
        return true;
    }
    return false;
  }
  byte_view rest_;
};

std::unexpected<error> malformed(const char* what) {
  return fail(ec::unauth, std::string{"capability: "} + what);
}

} // namespace

macaroon macaroon::mint(byte_view root_key, std::string id) {
  macaroon m;
  m.identifier_ = std::move(id);
  m.signature_ = first_signature(root_key, m.identifier_);
  return m;
}

result<macaroon> macaroon::decode(byte_view binary) {
  if (binary.size() > encoded_bytes_max)
    return malformed("longer than 4096 bytes");
  if (binary.empty() || binary.front() != format_version)
    return malformed("not a v2 macaroon");
  field_reader in{binary.subspan(1)};
  macaroon m;
  if (in.next_is(field::location) && !in.take(field::location, m.location_))
    return malformed("bad location");
  if (!in.take(field::identifier, m.identifier_) || !in.skip_eos())
    return malformed("bad identifier");
  while (!in.skip_eos()) {
    if (m.caveats_.size() == caveats_max)
      return malformed("more than 32 caveats");
    auto& caveat = m.caveats_.emplace_back();
    if (!in.take(field::identifier, caveat))
      return malformed("bad caveat");
    if (in.next_is(field::vid))
      return malformed("third-party caveats are not accepted");
    if (!in.skip_eos())
      return malformed("bad caveat");
  }
  std::string sig;
  if (!in.take(field::signature, sig) || sig.size() != m.signature_.size() || !in.done())
    return malformed("bad signature field");
  std::memcpy(m.signature_.data(), sig.data(), sig.size());
  return m;
}

result<std::string> macaroon::encode() const {
  std::string out(1, static_cast<char>(format_version));
  if (!location_.empty())
    put_field(out, field::location, location_);
  put_field(out, field::identifier, identifier_);
  out += static_cast<char>(eos);
  for (const auto& caveat : caveats_) {
    put_field(out, field::identifier, caveat);
    out += static_cast<char>(eos);
  }
  out += static_cast<char>(eos);
  put_field(out, field::signature,
            {reinterpret_cast<const char*>(signature_.data()), signature_.size()});
  if (out.size() > encoded_bytes_max)
    return fail(ec::bad_request, "capability: would be longer than 4096 bytes");
  return out;
}

result<void> macaroon::attenuate(std::string caveat) {
  if (caveats_.size() == caveats_max)
    return fail(ec::bad_request, "capability: 32 caveats are the most");
  signature_ = hmac_sha256(signature_, view_of(caveat));
  caveats_.push_back(std::move(caveat));
  return {};
}

bool macaroon::verify(byte_view root_key) const {
  auto sig = first_signature(root_key, identifier_);
  for (const auto& caveat : caveats_)
    sig = hmac_sha256(sig, view_of(caveat));
  return CRYPTO_memcmp(sig.data(), signature_.data(), sig.size()) == 0;
}

} // namespace ron::core::crypto
