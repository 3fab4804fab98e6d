#include "core/config_value.hpp"

#include "core/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <arpa/inet.h>

namespace ron::core::config {

namespace {

using sv = std::string_view;
using item = raw_value::item;
template <class T>
using parsed = std::expected<T, value_error>;

std::unexpected<value_error> bad(const value_rule& rule, std::string what,
                                 std::string suggestion = {}) {
  return std::unexpected{
    value_error{std::move(what), expected_text(rule), std::move(suggestion)}};
}

std::string shown(sv text) {
  return '"' + printable(text) + '"';
}

sv trim(sv text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

// -- numbers ---------------------------------------------------------------------

struct unit {
  sv name;
  std::uint64_t factor;
};

constexpr unit size_units[] = {{"", 1},
                               {"B", 1},
                               {"KiB", 1ull << 10},
                               {"MiB", 1ull << 20},
                               {"GiB", 1ull << 30},
                               {"TiB", 1ull << 40}};
constexpr unit duration_units[] = {
  {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}};

/// Digits and what follows them, a space between allowed.
struct quantity {
  std::uint64_t number = 0;
  sv unit;
  bool digits = false;
  bool overflow = false;
};

quantity split_quantity(sv text) {
  quantity q;
  auto [end, e] = std::from_chars(text.data(), text.data() + text.size(), q.number);
  q.digits = end != text.data();
  q.overflow = e == std::errc::result_out_of_range;
  q.unit = trim(text.substr(static_cast<std::size_t>(end - text.data())));
  return q;
}

/// `q` in the base unit; the largest number there is if it does not fit.
std::uint64_t scaled(const quantity& q, std::uint64_t factor) {
  constexpr auto top = std::numeric_limits<std::uint64_t>::max();
  return q.overflow || q.number > top / factor ? top : q.number * factor;
}

parsed<std::uint64_t> in_range(const value_rule& rule, std::uint64_t x, sv text) {
  if (x < rule.min)
    return bad(rule, printable(text) + " is too small");
  if (x > rule.max)
    return bad(rule, printable(text) + " is too large");
  return x;
}

const unit* find_unit(std::span<const unit> units, sv name) {
  auto i = std::ranges::find(units, name, &unit::name);
  return i == units.end() ? nullptr : &*i;
}

/// `64K`, `64kb`, `64KB` and the like mean 64KiB.
std::string likely_size(const quantity& q) {
  if (!q.digits || q.unit.empty() || q.unit.size() > 3)
    return {};
  for (const auto& u : size_units)
    if (!u.name.empty() && (q.unit[0] | 0x20) == (u.name[0] | 0x20))
      return std::to_string(q.number) + std::string{u.name};
  return {};
}

parsed<std::uint64_t> parse_integer(const value_rule& rule, sv text) {
  auto q = split_quantity(text);
  if (!q.digits || !q.unit.empty())
    return bad(rule, shown(text) + " is not an integer");
  return in_range(rule, scaled(q, 1), text);
}

parsed<std::uint64_t> parse_size(const value_rule& rule, sv text, sv noun = "a size") {
  auto q = split_quantity(text);
  const auto* u = find_unit(size_units, q.unit);
  if (!q.digits || u == nullptr)
    return bad(rule, shown(text) + " is not " + std::string{noun}, likely_size(q));
  return in_range(rule, scaled(q, u->factor), text);
}

parsed<std::uint64_t> parse_duration(const value_rule& rule, sv text) {
  auto q = split_quantity(text);
  if (q.digits && q.unit.empty())
    return bad(rule, shown(text) + " has no unit", std::string{text} + 's');
  const auto* u = find_unit(duration_units, q.unit);
  if (!q.digits || u == nullptr)
    return bad(rule, shown(text) + " is not a duration");
  return in_range(rule, scaled(q, u->factor), text);
}

parsed<std::uint64_t> parse_rate(const value_rule& rule, sv text) {
  auto q = split_quantity(text);
  if (!q.digits || (!q.unit.empty() && q.unit != "/s"))
    return bad(rule, shown(text) + " is not a rate",
               q.digits ? std::to_string(q.number) + "/s" : std::string{});
  return in_range(rule, scaled(q, 1), text);
}

parsed<std::uint64_t> parse_byte_rate(const value_rule& rule, sv text) {
  auto size = text.ends_with("/s") ? trim(text.substr(0, text.size() - 2)) : text;
  auto x = parse_size(rule, size, "a byte rate");
  if (!x && !x.error().suggestion.empty())
    x.error().suggestion += "/s";
  return x;
}

parsed<std::uint64_t> parse_percent(const value_rule& rule, sv text) {
  auto q = split_quantity(text);
  if (q.digits && q.unit.empty())
    return bad(rule, shown(text) + " has no %", std::string{text} + " %");
  if (!q.digits || q.unit != "%")
    return bad(rule, shown(text) + " is not a percentage");
  return in_range(rule, scaled(q, 1), text);
}

parsed<memory_bound> parse_memory(const value_rule& rule, sv text) {
  if (text.ends_with('%')) {
    auto q = split_quantity(text);
    if (!q.digits || q.unit != "%" || q.overflow || q.number < 1 || q.number > 100)
      return bad(rule, printable(text) + " is no share of memory");
    return memory_bound{0, static_cast<std::uint32_t>(q.number)};
  }
  auto x = parse_size(rule, text);
  if (!x)
    return std::unexpected{x.error()};
  return memory_bound{*x, 0};
}

// -- addresses -------------------------------------------------------------------

bool is_ip(const std::string& host) {
  unsigned char out[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), out) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), out) == 1;
}

bool is_name(sv host) {
  auto ok = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.';
  };
  // What ends in a digit was meant as an IPv4 address.
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, ok) &&
         host.front() != '.' && host.front() != '-' && !(host.back() >= '0' && host.back() <= '9');
}

/// Host and port; names other than localhost only where we connect to.
parsed<host_port> parse_host_port(const value_rule& rule, sv text, bool names) {
  auto colon = text.rfind(':');
  auto port_text = colon == sv::npos ? text : text.substr(colon + 1);
  auto port = split_quantity(port_text);
  bool port_ok = port.digits && port.unit.empty() && !port.overflow && port.number <= 65535 &&
                 port_text.size() <= 5;
  if (colon == sv::npos || colon == 0)
    return bad(rule, shown(text) + (colon == 0 ? " has no host" : " is not host:port"),
               port_ok ? "127.0.0.1:" + std::to_string(port.number) : std::string{});
  if (!port_ok)
    return bad(rule, shown(text) + " has no valid port");
  auto host = text.substr(0, colon);
  bool v6 = host.front() == '[' && host.back() == ']';
  if (v6)
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != sv::npos)
    return bad(rule, shown(text) + " has an IPv6 address without brackets");
  std::string h{host};
  bool known = is_ip(h) ? v6 == (h.find(':') != std::string::npos)
                        : !v6 && (names ? is_name(h) : h == "localhost");
  if (!known)
    return bad(rule, shown(host) + (names ? " is no host" : " is no IP address"));
  return host_port{std::move(h), static_cast<std::uint16_t>(port.number)};
}

// -- lists -----------------------------------------------------------------------

/// The items of a list: in brackets, or by comma where quotes are not needed.
parsed<std::vector<std::string>> parse_items(const value_rule& rule, const raw_value& raw) {
  std::vector<std::string> out;
  if (raw.list) {
    for (const auto& x : raw.items)
      out.push_back(x.text);
  } else if (raw.loose && raw.items.size() == 1) {
    sv rest = raw.items[0].text;
    while (!trim(rest).empty()) {
      auto comma = std::min(rest.find(','), rest.size());
      out.emplace_back(trim(rest.substr(0, comma)));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  } else {
    auto text = raw.items.empty() ? std::string{} : raw.items[0].text;
    auto likely = text.size() <= 40 ? "[\"" + printable(text) + "\"]" : std::string{};
    return bad(rule, shown(text) + " is not a list", likely);
  }
  if (out.size() > (rule.max != 0 && rule.type != kind::shares && rule.type != kind::user_ids
                      ? std::min<std::size_t>(rule.max, list_items_max)
                      : list_items_max))
    return bad(rule, std::to_string(out.size()) + " items are too many");
  if (std::ranges::find(out, std::string{}) != out.end())
    return bad(rule, "an item is empty");
  return out;
}

parsed<std::vector<host_port>> parse_endpoints(const value_rule& rule, const raw_value& raw) {
  auto items = parse_items(rule, raw);
  if (!items)
    return std::unexpected{items.error()};
  std::vector<host_port> out;
  for (const auto& text : *items) {
    auto x = parse_host_port(rule, text, true);
    if (!x)
      return std::unexpected{x.error()};
    out.push_back(std::move(*x));
  }
  return out;
}

parsed<std::vector<std::uint32_t>> parse_user_ids(const value_rule& rule, const raw_value& raw) {
  auto items = parse_items(rule, raw);
  if (!items)
    return std::unexpected{items.error()};
  std::vector<std::uint32_t> out;
  for (const auto& text : *items) {
    auto x = parse_integer(rule, text);
    if (!x)
      return std::unexpected{x.error()};
    out.push_back(static_cast<std::uint32_t>(*x));
  }
  return out;
}

parsed<std::size_t> parse_word(const value_rule& rule, sv text) {
  auto i = std::ranges::find(rule.words, text);
  if (i == rule.words.end())
    return bad(rule, shown(text) + " is unknown", std::string{nearest(text, rule.words)});
  return static_cast<std::size_t>(i - rule.words.begin());
}

parsed<role_set> parse_roles(const value_rule& rule, const raw_value& raw) {
  auto items = parse_items(rule, raw);
  if (!items)
    return std::unexpected{items.error()};
  role_set out;
  for (const auto& text : *items) {
    auto i = parse_word(rule, text);
    if (!i)
      return std::unexpected{i.error()};
    auto x = static_cast<role>(*i);
    if (out.has(x))
      return bad(rule, shown(text) + " is named twice");
    out.insert(x);
  }
  if (out.empty())
    return bad(rule, "the list is empty");
  return out;
}

/// `name=number` items; a name that is left out keeps its number.
parsed<std::array<std::uint32_t, 3>> parse_shares(const value_rule& rule, const raw_value& raw,
                                                  std::array<std::uint32_t, 3> out) {
  auto items = parse_items(rule, raw);
  if (!items)
    return std::unexpected{items.error()};
  std::array<bool, 3> seen{};
  for (const auto& text : *items) {
    auto equals = text.find('=');
    if (equals == std::string::npos)
      return bad(rule, shown(text) + " is not name=number");
    auto i = parse_word(rule, trim(sv{text}.substr(0, equals)));
    if (!i)
      return std::unexpected{i.error()};
    auto x = parse_integer(rule, trim(sv{text}.substr(equals + 1)));
    if (!x)
      return std::unexpected{x.error()};
    if (seen[*i])
      return bad(rule, shown(rule.words[*i]) + " is named twice");
    seen[*i] = true;
    out[*i] = static_cast<std::uint32_t>(*x);
  }
  return out;
}

// -- one value -------------------------------------------------------------------

std::expected<void, value_error> check_text(const value_rule& rule, const raw_value& raw) {
  auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  for (const auto& x : raw.items) {
    if (x.text.size() > value_bytes_max)
      return bad(rule, "the value is longer than " + std::to_string(value_bytes_max) + " bytes");
    if (std::ranges::any_of(x.text, control))
      return bad(rule, "the value contains a control character");
    if (!valid_utf8(x.text))
      return bad(rule, "the value is not UTF-8");
  }
  return {};
}

/// The one item of a value that is no list.
parsed<sv> single(const value_rule& rule, const raw_value& raw) {
  if (raw.list || raw.items.size() != 1)
    return bad(rule, "a list is not allowed here");
  const auto& x = raw.items[0];
  bool number = rule.type == kind::boolean || rule.type == kind::integer ||
                rule.type == kind::duration;
  if (x.quoted && number)
    return bad(rule, shown(x.text) + " in quotes is a string", printable(x.text));
  if (x.text.empty())
    return bad(rule, "the value is empty");
  return sv{x.text};
}

parsed<bool> parse_boolean(const value_rule& rule, sv text) {
  if (text == "true" || text == "on")
    return true;
  if (text == "false" || text == "off")
    return false;
  static constexpr sv yes[] = {"yes", "1", "True", "TRUE", "Yes", "On", "ON"};
  static constexpr sv no[] = {"no", "0", "False", "FALSE", "No", "Off", "OFF"};
  static constexpr sv both[] = {"true", "false"};
  auto likely = std::ranges::find(yes, text) != std::end(yes) ? both[0]
              : std::ranges::find(no, text) != std::end(no)   ? both[1]
                                                              : nearest(text, both);
  return bad(rule, shown(text) + " is no boolean", std::string{likely});
}

parsed<std::uint64_t> parse_number(const value_rule& rule, sv text) {
  switch (rule.type) {
    case kind::size:
      return parse_size(rule, text);
    case kind::duration:
      return parse_duration(rule, text);
    case kind::rate:
      return parse_rate(rule, text);
    case kind::byte_rate:
      return parse_byte_rate(rule, text);
    case kind::percent:
      return parse_percent(rule, text);
    default:
      return parse_integer(rule, text);
  }
}

/// Stores what was parsed, or passes the error on.
template <class T, class U>
std::expected<void, value_error> store(T& to, parsed<U>&& x) {
  if (!x)
    return std::unexpected{std::move(x.error())};
  to = T(std::move(*x));
  return {};
}

/// Parses into each type of field.
struct reader {
  const value_rule& rule;
  const raw_value& raw;
  using outcome = std::expected<void, value_error>;

  /// Runs `f` on the text of a value that is no list.
  template <class T>
  outcome one(T& to, auto f) const {
    auto text = single(rule, raw);
    if (!text)
      return std::unexpected{text.error()};
    return store(to, f(rule, *text));
  }
  bool word_is(sv word) const {
    return !raw.list && raw.items.size() == 1 && !raw.items[0].quoted && raw.items[0].text == word;
  }

  outcome operator()(bool* to) const { return one(*to, parse_boolean); }
  outcome operator()(std::uint32_t* to) const { return one(*to, parse_number); }
  outcome operator()(std::uint64_t* to) const { return one(*to, parse_number); }
  outcome operator()(std::chrono::milliseconds* to) const { return one(*to, parse_number); }
  outcome operator()(memory_bound* to) const { return one(*to, parse_memory); }
  outcome operator()(std::string* to) const {
    if (word_is("none")) {
      to->clear();
      return {};
    }
    return one(*to, [](const value_rule&, sv text) { return parsed<std::string>{text}; });
  }
  outcome operator()(host_port* to) const {
    return one(*to, [](const value_rule& r, sv t) { return parse_host_port(r, t, false); });
  }
  outcome operator()(std::optional<host_port>* to) const {
    if (word_is("off")) {
      to->reset();
      return {};
    }
    return one(*to, [](const value_rule& r, sv t) { return parse_host_port(r, t, false); });
  }
  outcome operator()(std::vector<host_port>* to) const {
    return store(*to, parse_endpoints(rule, raw));
  }
  outcome operator()(std::vector<std::string>* to) const {
    if (rule.type == kind::names && word_is("off")) {
      to->clear();
      return {};
    }
    auto items = parse_items(rule, raw);
    if (items && !rule.words.empty())
      for (const auto& text : *items)
        if (auto known = parse_word(rule, text); !known)
          return std::unexpected{known.error()};
    return store(*to, std::move(items));
  }
  outcome operator()(std::vector<std::uint32_t>* to) const {
    return store(*to, parse_user_ids(rule, raw));
  }
  outcome operator()(role_set* to) const { return store(*to, parse_roles(rule, raw)); }
  outcome operator()(choice_slot to) const { return one(*to.value, parse_word); }
  outcome operator()(share_slot to) const {
    std::array<std::uint32_t, 3> now{*to.values[0], *to.values[1], *to.values[2]};
    auto done = store(now, parse_shares(rule, raw, now));
    for (std::size_t i = 0; i < now.size(); ++i)
      *to.values[i] = now[i];
    return done;
  }
};

} // namespace

std::expected<void, value_error> parse_value(const value_rule& rule, const raw_value& raw,
                                             const slot& to) {
  if (auto ok = check_text(rule, raw); !ok)
    return ok;
  return std::visit(reader{rule, raw}, to);
}

} // namespace ron::core::config
