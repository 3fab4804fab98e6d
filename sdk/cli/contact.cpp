#include "contact.hpp"

#include "core/base64.hpp"
#include "core/json.hpp"
#include "quic_wire.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

namespace ron::cli {

using core::ec;
using core::fail;
using core::result;

namespace {

constexpr option_spec common[] = {
    {"--node", "HOST:PORT", "the node's OAP address (RONCTL_NODE, default 127.0.0.1:9443)"},
    {"--admin", "HOST:PORT", "its admin address (RONCTL_ADMIN, default 127.0.0.1:9600)"},
    {"--quic", "", "speak QUIC instead of TLS over TCP (the same port, UDP)"},
    {"--early-data", "", "with --quic: resumed connections ask without waiting (0-RTT reads only)"},
    {"--pin", "SHA256", "trust the node whose certificate has this digest"},
    {"--ca", "FILE", "trust nodes with a certificate under these roots"},
    {"--tls-cert", "FILE", "your own certificate, for a node that asks for one; with --tls-key"},
    {"--tls-key", "FILE", "its PEM key"},
    {"--pq", "MODE", "post-quantum key exchange: off, prefer or require (RONCTL_PQ, default off)"},
    {"--socks", "HOST:PORT", "a tor daemon's SOCKS port (RONCTL_SOCKS; *.onion: 127.0.0.1:9050)"},
    {"--cap", "FILE", "a capability as `ronctl token` prints it (or in RONCTL_CAP)"},
    {"--timeout", "MS", "of a request, default 5000"},
    {"-o", "table|json", "how to print, default table"},
    {"--help", "", "explain the command"},
};

constexpr int wait_ms = 2'000;
constexpr std::size_t line_bytes_max = 16'384;
constexpr std::size_t answer_bytes_max = 64u << 20;

class unique_fd {
public:
  explicit unique_fd(int fd) : fd_(fd) {
  }
  ~unique_fd() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  unique_fd(const unique_fd&) = delete;
  unique_fd& operator=(const unique_fd&) = delete;
  int get() const {
    return fd_;
  }

private:
  int fd_;
};

/// Reads until the end of the stream, at most `max` bytes.
result<std::string> read_all(int fd, std::size_t max, const std::string& what) {
  std::string out;
  char part[16'384];
  while (true) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, wait_ms) <= 0)
      return fail(ec::downstream_timeout, what + " does not answer");
    const auto n = ::recv(fd, part, sizeof part, 0);
    if (n == 0)
      return out;
    if (n < 0)
      return fail(ec::degraded, what + ": " + std::strerror(errno));
    out.append(part, static_cast<std::size_t>(n));
    if (out.size() > max)
      return fail(ec::downstream_5xx, what + " answers too much");
  }
}

std::string environment(const char* name) {
  const char* v = std::getenv(name);
  return v ? v : "";
}

result<std::string> decode_token(std::string text, const std::string& from) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  auto raw = core::base64url_decode(text);
  if (!raw)
    return fail(ec::bad_request, from + " holds no capability (base64url text expected)");
  return std::string{raw->text()};
}

result<core::config::pq_mode> pq_of(std::string_view text) {
  constexpr auto& names = core::config::pq_mode_names;
  if (text.empty())
    return core::config::pq_mode::off;
  const auto* at = std::ranges::find(names, text);
  if (at == std::end(names))
    return fail(ec::bad_request, "--pq: expected off, prefer or require, not \"" + std::string{text}
                                   + '"');
  return static_cast<core::config::pq_mode>(at - std::begin(names));
}

result<std::string> token_of(const arguments& args) {
  if (auto file = args.get("--cap"); !file.empty()) {
    std::ifstream in{file};
    std::ostringstream text;
    text << in.rdbuf();
    if (!in)
      return fail(ec::bad_request, "--cap: cannot read " + file);
    return decode_token(text.str(), file);
  }
  if (auto text = environment("RONCTL_CAP"); !text.empty())
    return decode_token(text, "RONCTL_CAP");
  return std::string{};
}

} // namespace

const std::span<const option_spec> common_options{common};

result<target> target_of(const arguments& args) {
  target t;
  auto take = [&](std::string_view option, const char* variable, address& out) -> result<void> {
    auto text = args.get(option, environment(variable));
    if (text.empty())
      return {};
    auto a = parse_address(option, text);
    if (!a)
      return std::unexpected{a.error()};
    out = *a;
    return {};
  };
  if (auto ok = take("--node", "RONCTL_NODE", t.node); !ok)
    return std::unexpected{ok.error()};
  if (auto ok = take("--admin", "RONCTL_ADMIN", t.admin); !ok)
    return std::unexpected{ok.error()};
  t.quic = args.has("--quic");
  t.early_data = args.has("--early-data");
  if (t.early_data && !t.quic)
    return fail(ec::bad_request, "--early-data is a matter of QUIC: add --quic");
  if (const auto text = args.get("--socks", environment("RONCTL_SOCKS")); !text.empty()) {
    auto socks = parse_address("--socks", text);
    if (!socks)
      return std::unexpected{socks.error()};
    t.socks = *socks;
  } else if (t.node.is_onion()) {
    t.socks = address{"127.0.0.1", 9050};
  }
  if (t.quic && t.socks)
    return fail(ec::bad_request, "Tor carries no UDP: leave out --quic");
  t.pin = args.get("--pin");
  t.ca_file = args.get("--ca");
  if (!t.pin.empty() && !t.ca_file.empty())
    return fail(ec::bad_request, "--pin and --ca exclude each other");
  t.cert_file = args.get("--tls-cert");
  t.key_file = args.get("--tls-key");
  if (t.cert_file.empty() != t.key_file.empty())
    return fail(ec::bad_request, "--tls-cert and --tls-key are given together");
  auto pq = pq_of(args.get("--pq", environment("RONCTL_PQ")));
  if (!pq)
    return std::unexpected{pq.error()};
  t.pq = *pq;
  auto token = token_of(args);
  if (!token)
    return std::unexpected{token.error()};
  t.token = std::move(*token);
  auto timeout = parse_number("--timeout", args.get("--timeout", "5000"), 1, 3'600'000);
  if (!timeout)
    return std::unexpected{timeout.error()};
  t.timeout = sdk::milliseconds{static_cast<std::int64_t>(*timeout)};
  return t;
}

result<first_contact> ask_operator_socket(std::uint16_t admin_port) {
  const auto name = "ron-" + std::to_string(admin_port);
  const auto what = "the node's operator socket @" + name;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  unique_fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (fd.get() < 0 || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size) != 0)
    return fail(ec::degraded, "no node of yours with admin port " + std::to_string(admin_port)
                                  + " runs on this machine (" + std::strerror(errno) + ")");
  auto line = read_all(fd.get(), line_bytes_max, what);
  if (!line)
    return std::unexpected{line.error()};
  if (line->empty())
    return fail(ec::unauth, what + " refuses this user; run ronctl as the node's user");
  auto said = core::parse_json(*line);
  if (!said || !said->is_object() || !said->contains("cert_sha256") || !said->contains("token"))
    return fail(ec::downstream_5xx, what + " answers nonsense");
  first_contact out;
  out.cert_sha256 = said->at("cert_sha256").get<std::string>();
  out.token_text = said->at("token").get<std::string>();
  auto raw = decode_token(out.token_text, what);
  if (!raw)
    return std::unexpected{raw.error()};
  out.token = std::move(*raw);
  return out;
}

result<sdk::client> connect(const target& t) {
  sdk::client_options o;
  o.host = t.node.host;
  o.port = t.node.port;
  o.pin = t.pin;
  o.ca_file = t.ca_file;
  o.cert_file = t.cert_file;
  o.key_file = t.key_file;
  o.pq = t.pq;
  o.token = t.token;
  o.overall_timeout = o.idle_timeout = t.timeout;
  static const auto quic = quic_dialer(); // one memory of tickets for all connections
  if (t.quic)
    o.dial = quic;
  o.early_data = t.early_data;
  if (t.socks)
    o.socks = t.socks->to_string();
  if (o.pin.empty() && o.ca_file.empty() && !t.node.is_onion()) {
    if (!t.node.is_loopback())
      return fail(ec::bad_request,
                  t.node.to_string() + " is another machine: say whom to trust with --pin or --ca");
    auto contact = ask_operator_socket(t.admin.port);
    if (!contact)
      return std::unexpected{contact.error()};
    o.pin = contact->cert_sha256;
    if (o.token.empty())
      o.token = contact->token;
  }
  return sdk::client::connect(o);
}

result<core::json> admin_get(const target& t, const std::string& path) {
  const auto what = "the admin listener " + t.admin.to_string();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(t.admin.host.c_str(), std::to_string(t.admin.port).c_str(), &hints, &found)
      != 0)
    return fail(ec::degraded, "cannot find " + t.admin.to_string());
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard{found, ::freeaddrinfo};
  unique_fd fd{::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (fd.get() < 0 || ::connect(fd.get(), found->ai_addr, found->ai_addrlen) != 0)
    return fail(ec::degraded, "cannot connect to " + what + ": " + std::strerror(errno));
  const auto request = "GET " + path + " HTTP/1.1\r\nHost: " + t.admin.to_string()
                       + "\r\nConnection: close\r\nAccept: application/json\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL)
      != static_cast<ssize_t>(request.size()))
    return fail(ec::degraded, what + " went away");
  auto answer = read_all(fd.get(), answer_bytes_max, what);
  if (!answer)
    return std::unexpected{answer.error()};
  const auto head_end = answer->find("\r\n\r\n");
  if (!answer->starts_with("HTTP/1.1 ") || head_end == answer->npos)
    return fail(ec::downstream_5xx, what + " does not speak HTTP");
  return core::parse_json(std::string_view{*answer}.substr(head_end + 4),
                          {.bytes_max = answer_bytes_max, .values_max = 10'000'000});
}

} // namespace ron::cli
