#include "core/config_value.hpp"

#include <algorithm>
#include <array>

namespace ron::core::config {

namespace {

using sv = std::string_view;

std::string quote(sv text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += c;
  }
  return out + '"';
}

template <class T>
std::string print_list(const std::vector<T>& items, auto text_of) {
  std::string out = "[";
  for (const auto& x : items) {
    if (out.size() > 1)
      out += ", ";
    out += text_of(x);
  }
  return out + ']';
}

std::string join(std::span<const sv> words, sv last = "or") {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0)
      out += i + 1 == words.size() ? ' ' + std::string{last} + ' ' : ", ";
    out += words[i];
  }
  return out;
}

std::string print_number(const value_rule& rule, std::uint64_t x) {
  switch (rule.type) {
    case kind::size:
      return print_size(x);
    case kind::duration:
      return print_duration(std::chrono::milliseconds{x});
    case kind::rate:
      return x == 0 ? "0" : std::to_string(x) + "/s";
    case kind::byte_rate:
      return x == 0 ? "0" : print_size(x) + "/s";
    case kind::percent:
      return std::to_string(x) + " %";
    default:
      return std::to_string(x);
  }
}

/// Prints each type of field.
struct writer {
  const value_rule& rule;

  std::string operator()(const bool* x) const { return *x ? "true" : "false"; }
  std::string operator()(const std::uint32_t* x) const { return print_number(rule, *x); }
  std::string operator()(const std::uint64_t* x) const { return print_number(rule, *x); }
  std::string operator()(const std::chrono::milliseconds* x) const { return print_duration(*x); }
  std::string operator()(const memory_bound* x) const {
    return x->bytes != 0 ? print_size(x->bytes) : std::to_string(x->percent) + " %";
  }
  std::string operator()(const std::string* x) const { return x->empty() ? "none" : quote(*x); }
  std::string operator()(const host_port* x) const { return quote(x->to_string()); }
  std::string operator()(const std::optional<host_port>* x) const {
    return *x ? quote((*x)->to_string()) : "off";
  }
  std::string operator()(const std::vector<host_port>* x) const {
    return print_list(*x, [](const host_port& a) { return quote(a.to_string()); });
  }
  std::string operator()(const std::vector<std::string>* x) const {
    return rule.type == kind::names && x->empty() ? "off" : print_list(*x, quote);
  }
  std::string operator()(const std::vector<std::uint32_t>* x) const {
    return print_list(*x, [](std::uint32_t id) { return std::to_string(id); });
  }
  std::string operator()(const role_set* x) const {
    std::vector<sv> names;
    for (std::size_t i = 0; i < role_count; ++i)
      if (x->has(static_cast<role>(i)))
        names.push_back(role_names[i]);
    return print_list(names, quote);
  }
  std::string operator()(choice_slot x) const {
    return *x.value < rule.words.size() ? std::string{rule.words[*x.value]} : "?";
  }
  std::string operator()(share_slot x) const {
    std::vector<std::string> items;
    for (std::size_t i = 0; i < x.values.size() && i < rule.words.size(); ++i)
      items.push_back(std::string{rule.words[i]} + '=' + std::to_string(*x.values[i]));
    return print_list(items, quote);
  }
};

} // namespace

std::string print_value(const value_rule& rule, const slot& from) {
  return std::visit(writer{rule}, from);
}

std::string print_size(std::uint64_t x) {
  struct unit {
    sv name;
    unsigned shift;
  };
  static constexpr unit units[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}};
  for (auto u : units)
    if (x != 0 && (x & ((1ull << u.shift) - 1)) == 0)
      return std::to_string(x >> u.shift) + std::string{u.name};
  return std::to_string(x);
}

std::string print_duration(std::chrono::milliseconds x) {
  auto n = x.count();
  if (n == 0)
    return "0s";
  if (n % 3'600'000 == 0)
    return std::to_string(n / 3'600'000) + 'h';
  if (n % 60'000 == 0)
    return std::to_string(n / 60'000) + "min";
  return n % 1000 == 0 ? std::to_string(n / 1000) + 's' : std::to_string(n) + "ms";
}

std::string range_text(const value_rule& rule) {
  switch (rule.type) {
    case kind::integer:
    case kind::size:
    case kind::duration:
    case kind::rate:
    case kind::byte_rate:
    case kind::percent:
    case kind::user_ids:
      return print_number(rule, rule.min) + ".." + print_number(rule, rule.max);
    case kind::memory:
      return print_size(rule.min) + ".." + print_size(rule.max) + ", 1 %..100 %";
    case kind::shares:
      return join(rule.words, "and") + ": " + std::to_string(rule.min) + ".." +
             std::to_string(rule.max);
    case kind::endpoints:
    case kind::strings:
      return "at most " + std::to_string(rule.max);
    case kind::choice:
    case kind::roles:
    case kind::names:
      return join(rule.words);
    default:
      return {};
  }
}

std::string expected_text(const value_rule& rule) {
  auto from_to = [&] {
    return " from " + print_number(rule, rule.min) + " to " + print_number(rule, rule.max);
  };
  switch (rule.type) {
    case kind::boolean:
      return "true or false";
    case kind::integer:
      return "an integer" + from_to();
    case kind::size:
      return "a size" + from_to();
    case kind::duration:
      return "a duration" + from_to();
    case kind::rate:
      return "a rate" + from_to();
    case kind::byte_rate:
      return "a byte rate" + from_to();
    case kind::percent:
      return "a percentage" + from_to();
    case kind::memory:
      return "a size from " + print_size(rule.min) + " to " + print_size(rule.max) +
             " or a percentage from 1 % to 100 %";
    case kind::path:
      return "a path or none";
    case kind::address:
      return "an address such as 127.0.0.1:8080";
    case kind::listener:
      return "an address such as 127.0.0.1:8080, or off";
    case kind::endpoints:
      return "a list of at most " + std::to_string(rule.max) + " host:port";
    case kind::strings:
      return "a list of at most " + std::to_string(rule.max) + " strings";
    case kind::names:
      return rule.words.empty() ? "a list of names, or off"
                                : "a list of " + join(rule.words, "and") + ", or off";
    case kind::user_ids:
      return "a list of user ids";
    case kind::choice:
      return join(rule.words);
    case kind::roles:
      return "a list of " + join(rule.words, "and");
    case kind::shares:
      return "a list of name=number for " + join(rule.words, "and") + ", each" + from_to();
  }
  return {};
}

sv to_string(kind x) noexcept {
  switch (x) {
    case kind::boolean:
      return "boolean";
    case kind::integer:
      return "integer";
    case kind::size:
      return "size";
    case kind::duration:
      return "duration";
    case kind::rate:
      return "rate";
    case kind::byte_rate:
      return "byte rate";
    case kind::percent:
      return "percent";
    case kind::memory:
      return "size or percent";
    case kind::path:
      return "path";
    case kind::address:
      return "address";
    case kind::listener:
      return "address or off";
    case kind::endpoints:
      return "list of host:port";
    case kind::strings:
      return "list of strings";
    case kind::names:
      return "list or off";
    case kind::user_ids:
      return "list of integers";
    case kind::choice:
      return "word";
    case kind::roles:
      return "list of words";
    case kind::shares:
      return "list of name=number";
  }
  return "?";
}

std::string printable(sv text) {
  constexpr std::size_t shown_max = 80;
  static constexpr char hex[] = "0123456789abcdef";
  std::string out;
  for (char c : text.substr(0, shown_max)) {
    auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += hex[u >> 4];
      out += hex[u & 15];
    }
  }
  return text.size() > shown_max ? out + "..." : out;
}

std::size_t edit_distance(sv a, sv b) {
  constexpr std::size_t bytes_max = 64;
  if (a.size() > bytes_max || b.size() > bytes_max)
    return bytes_max + 1;
  std::array<std::size_t, bytes_max + 1> row{};
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

sv nearest(sv text, std::span<const sv> words) {
  sv best;
  auto limit = std::max<std::size_t>(2, text.size() / 3) + 1;
  for (auto w : words) {
    bool begins = text.size() > 2 && (text.starts_with(w) || w.starts_with(text));
    auto d = begins ? 1 : edit_distance(text, w);
    if (d < limit && d < w.size()) {
      limit = d;
      best = w;
    }
  }
  return best;
}

} // namespace ron::core::config
