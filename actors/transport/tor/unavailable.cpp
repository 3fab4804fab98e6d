#include "transport/tor/unavailable.hpp"

#include <array>

namespace ron::transport::tor {

namespace {

constexpr std::size_t printable_max = 160;

struct row {
  std::string_view name;
  std::string_view advice;
};

constexpr std::array<row, trouble_count> table{{
  {"no_daemon", "no tor daemon listens there; is it running, is the port right?"},
  {"lost", "the tor daemon closed the connection"},
  {"silent", "the tor daemon does not answer in time"},
  {"protocol", "what listens there is no tor daemon, or not that port of it"},
  {"auth", "the control port does not let us in; CookieAuthentication 1 and a readable cookie file "
           "are needed"},
  {"bootstrap", "the tor daemon has not found its network in time; see its log"},
  {"publish", "the onion service could not be published"},
  {"failed", "the tor daemon could not connect; it may still be finding its network"},
  {"not_allowed", "the tor daemon's rules forbid it"},
  {"network_unreachable", "the network is unreachable"},
  {"host_unreachable", "the host is unreachable"},
  {"refused", "the onion service is there, but serves nothing on this port"},
  {"ttl_expired", "the tor daemon gave up waiting"},
  {"command_not_supported", "the proxy does not connect"},
  {"address_not_supported", "the proxy does not take names: it is no tor daemon"},
  {"onion_not_found", "no descriptor of this onion service: it is not published (yet, any more), "
                      "or the address is wrong"},
  {"onion_invalid", "the onion service's descriptor is not valid"},
  {"onion_intro_failed", "the onion service does not answer: it has just gone or its node is down"},
  {"onion_rend_failed", "the rendezvous with the onion service failed"},
  {"onion_auth_missing", "the onion service wants a client key"},
  {"onion_auth_wrong", "the onion service wants another client key"},
  {"onion_bad_address", "this cannot be an onion address; a letter is wrong"},
  {"onion_intro_timeout", "the onion service did not answer in time"},
}};

const row& row_of(trouble t) noexcept {
  const auto i = static_cast<std::size_t>(t);
  return table[i < table.size() ? i : 0];
}

} // namespace

std::string_view to_string(trouble t) noexcept {
  return row_of(t).name;
}

std::string_view advice(trouble t) noexcept {
  return row_of(t).advice;
}

core::error to_error(const unavailable& u) {
  auto text = "TorUnavailable (" + std::string{to_string(u.why)} + "): " + u.detail;
  text += u.detail.empty() ? "" : ": ";
  text += advice(u.why);
  return {core::ec::tor_unavailable, std::move(text)};
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, printable_max))
    out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

} // namespace ron::transport::tor
