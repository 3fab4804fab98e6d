#include "transport/tor/socks5.hpp"

#include <algorithm>
#include <utility>

namespace ron::transport::tor {

namespace {

constexpr std::size_t text_max = 255; // lengths are one byte

// RFC 1928, sections 3 to 6; RFC 1929.
constexpr char version = 5;
constexpr char auth_version = 1;
constexpr char no_auth = 0;
constexpr char user_password = 2;
constexpr std::uint8_t no_method = 0xff;
constexpr char command_connect = 1;
constexpr std::uint8_t type_v4 = 1;
constexpr std::uint8_t type_name = 3;
constexpr std::uint8_t type_v6 = 4;

void put_text(std::string& out, std::string_view text) {
  out += static_cast<char>(text.size());
  out += text;
}

trouble trouble_of(std::uint8_t reply) noexcept {
  constexpr std::uint8_t last_plain = 8;
  constexpr std::uint8_t first_onion = 0xf0;
  constexpr std::uint8_t last_onion = 0xf7;
  const auto from = [reply](std::uint8_t first, trouble base) {
    return static_cast<trouble>(static_cast<std::uint8_t>(base) + (reply - first));
  };
  if (reply >= 1 && reply <= last_plain)
    return from(1, trouble::failed);
  if (reply >= first_onion && reply <= last_onion)
    return from(first_onion, trouble::onion_not_found);
  return trouble::protocol;
}

} // namespace

core::result<socks5_dial> socks5_dial::make(socks5_request request) {
  if (request.host.empty() || request.host.size() > text_max)
    return core::fail(core::ec::bad_request, "a host name has 1 to 255 bytes");
  if (request.host.find('\0') != std::string::npos)
    return core::fail(core::ec::bad_request, "a host name has no NUL");
  if (request.port == 0)
    return core::fail(core::ec::bad_request, "a port is 1 to 65535");
  if (request.isolation.size() > text_max)
    return core::fail(core::ec::bad_request, "the word for isolation has at most 255 bytes");
  return socks5_dial{std::move(request)};
}

socks5_dial::socks5_dial(socks5_request request) : request_(std::move(request)) {
  out_ = {version, 1, request_.isolation.empty() ? no_auth : user_password};
}

std::string socks5_dial::take_output() {
  return std::exchange(out_, {});
}

std::size_t socks5_dial::on_bytes(core::byte_view in) {
  std::size_t used = 0;
  while (used < in.size() && at_ != step::open && at_ != step::failed) {
    const auto goal = wanted();
    const auto n = std::min(in.size() - used, goal - have_);
    std::copy_n(in.begin() + static_cast<std::ptrdiff_t>(used), n, in_.begin() + have_);
    have_ += n;
    used += n;
    if (have_ == goal)
      take_answer();
  }
  return used;
}

/// How much of the answer has to be here before it is looked at again: the verdict, then the type
/// of the address, then the rest, 262 bytes at most.
std::size_t socks5_dial::wanted() const noexcept {
  constexpr std::size_t head = 4;
  constexpr std::size_t port = 2;
  if (at_ != step::reply || have_ < 2)
    return 2;
  if (have_ < head)
    return head;
  switch (in_[3]) {
  case type_v4:
    return head + 4 + port;
  case type_v6:
    return head + 16 + port;
  default:
    return have_ < head + 1 ? head + 1 : head + 1 + in_[4] + port;
  }
}

void socks5_dial::take_answer() {
  if (at_ == step::auth) {
    if (in_[0] != auth_version)
      return fail(trouble::protocol, "no answer of RFC 1929");
    if (in_[1] != 0)
      return fail(trouble::not_allowed, "the user name for isolation was refused");
    return connect();
  }
  if (in_[0] != version)
    return fail(trouble::protocol, "no answer of SOCKS 5");
  if (at_ == step::method) {
    const auto offered = request_.isolation.empty() ? no_auth : user_password;
    if (in_[1] == no_method)
      return fail(trouble::not_allowed, "the way to authenticate was refused");
    if (in_[1] != offered) // never: to go on without isolation, unnoticed
      return fail(trouble::protocol, "a way to authenticate that was not offered");
    if (offered == no_auth)
      return connect();
    at_ = step::auth;
    have_ = 0;
    out_ += auth_version;
    put_text(out_, request_.isolation);
    put_text(out_, "x"); // a password is not empty; Tor isolates by both
    return;
  }
  if (in_[1] != 0)
    return fail(trouble_of(in_[1]), trouble_of(in_[1]) == trouble::protocol ? "unknown reply" : "");
  if (have_ < 4)
    return; // granted; an address follows that has to be taken off the stream
  if (in_[3] != type_v4 && in_[3] != type_v6 && in_[3] != type_name)
    return fail(trouble::protocol, "unknown type of address");
  if (have_ == wanted())
    at_ = step::open;
}

void socks5_dial::connect() {
  at_ = step::reply;
  have_ = 0;
  out_ += {version, command_connect, 0, type_name};
  put_text(out_, request_.host);
  out_ += static_cast<char>(request_.port >> 8);
  out_ += static_cast<char>(request_.port & 0xff);
}

void socks5_dial::on_eof() {
  if (at_ != step::open && at_ != step::failed)
    fail(trouble::lost);
}

void socks5_dial::fail(trouble why, std::string_view said) {
  at_ = step::failed;
  out_.clear();
  auto detail = request_.host + ':' + std::to_string(request_.port);
  if (!said.empty())
    detail += ": " + std::string{said};
  failure_ = {why, printable(detail)};
}

} // namespace ron::transport::tor
