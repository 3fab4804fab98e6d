#include "options.hpp"

#include <algorithm>
#include <charconv>

namespace ron::cli {

using core::ec;
using core::fail;
using core::result;

exit_code exit_code_of(ec code) noexcept {
  switch (code) {
    case ec::none:
      return exit_ok;
    case ec::not_found:
    case ec::unknown_operation:
      return exit_not_found;
    case ec::unauth:
    case ec::forbidden:
      return exit_refused;
    case ec::timeout:
    case ec::quota:
    case ec::stream_limit:
    case ec::busy:
    case ec::degraded:
    case ec::draining:
    case ec::conn_cap:
    case ec::downstream_timeout:
    case ec::tor_unavailable:
      return exit_unavailable;
    default:
      return exit_failed;
  }
}

result<arguments> parse_arguments(std::span<const std::string> argv,
                                  std::span<const option_spec> specs) {
  arguments out;
  for (std::size_t i = 0; i < argv.size(); ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      out.positional.insert(out.positional.end(), argv.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                            argv.end());
      break;
    }
    if (word.size() < 2 || word.front() != '-') {
      out.positional.emplace_back(word);
      continue;
    }
    const auto equals = word.starts_with("--") ? word.find('=') : word.npos;
    const auto name = word.substr(0, equals);
    auto spec = std::ranges::find(specs, name, &option_spec::name);
    if (spec == specs.end())
      return fail(ec::bad_request, "unknown option " + std::string{name});
    if (spec->value.empty()) {
      if (equals != word.npos)
        return fail(ec::bad_request, std::string{name} + " takes no value");
      out.options[std::string{name}] = "yes";
    } else if (equals != word.npos) {
      out.options[std::string{name}] = word.substr(equals + 1);
    } else if (++i < argv.size()) {
      out.options[std::string{name}] = argv[i];
    } else {
      return fail(ec::bad_request,
                  std::string{name} + " needs a value: " + std::string{spec->value});
    }
  }
  return out;
}

result<std::uint64_t> parse_number(std::string_view what, std::string_view text, std::uint64_t lo,
                                   std::uint64_t hi) {
  std::uint64_t v = 0;
  auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || r.ec != std::errc{} || r.ptr != text.data() + text.size() || v < lo || v > hi)
    return fail(ec::bad_request, std::string{what} + ": expected a number from "
                                   + std::to_string(lo) + " to " + std::to_string(hi) + ", not \""
                                   + std::string{text} + '"');
  return v;
}

bool address::is_loopback() const {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

bool address::is_onion() const {
  return host.ends_with(".onion");
}

std::string address::to_string() const {
  const bool v6 = host.find(':') != host.npos;
  return (v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

result<address> parse_address(std::string_view what, std::string_view text) {
  const auto colon = text.rfind(':');
  auto host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (colon == text.npos || host.empty())
    return fail(ec::bad_request, std::string{what} + ": expected host:port, not \""
                                   + std::string{text} + '"');
  auto port = parse_number(what, text.substr(colon + 1), 1, 65'535);
  if (!port)
    return std::unexpected{port.error()};
  return address{std::string{host}, static_cast<std::uint16_t>(*port)};
}

} // namespace ron::cli
