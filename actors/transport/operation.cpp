#include "transport/operation.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace ron::transport {

namespace {

constexpr std::array<std::string_view, route_count> route_names{
    "o", "name", "resolve", "manifest", "provider", "view", "media", "feed", "mailbox", "other"};
static_assert(static_cast<std::size_t>(route::other) + 1 == route_count);
static_assert(std::ranges::none_of(route_names, [](auto s) { return s.empty(); }),
              "every route has a label");

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool is_tail(std::string_view segment) {
  return segment.size() > 5 && is_parameter(segment)
         && segment.substr(segment.size() - 4) == "...}";
}

std::string_view parameter_name(std::string_view segment) {
  const std::size_t mark = is_tail(segment) ? 4 : 1; // "...}" or "}"
  return segment.substr(1, segment.size() - 1 - mark);
}

/// The segments of `path` without its first slash: "/v1/o" -> "v1", "o"; "/" -> "".
template <class F>
void for_each_segment(std::string_view path, F&& f) {
  path.remove_prefix(1);
  for (;;) {
    auto slash = path.find('/');
    f(path.substr(0, slash));
    if (slash == std::string_view::npos)
      return;
    path.remove_prefix(slash + 1);
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

core::result<std::string> decode_segment(std::string_view in) {
  std::string out;
  out.reserve(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] != '%') {
      const auto plain = in.substr(i, in.find('%', i) - i);
      out += plain;
      i += plain.size() - 1;
      continue;
    }
    int hi = i + 2 < in.size() ? hex_digit(in[i + 1]) : -1;
    int lo = i + 2 < in.size() ? hex_digit(in[i + 2]) : -1;
    if (hi < 0 || lo < 0)
      return core::fail(core::ec::bad_request, "the path has a malformed percent escape");
    auto c = static_cast<char>(hi << 4 | lo);
    if (c == '/' || c == '\0')
      return core::fail(core::ec::bad_request, "the path has an escaped '/' or NUL");
    out += c;
    i += 2;
  }
  return out;
}

bool serves(std::string_view row_method, std::string_view method) {
  return row_method == method || (method == "HEAD" && row_method == "GET");
}

} // namespace

std::string_view to_string(route r) noexcept {
  auto i = static_cast<std::size_t>(r);
  return i < route_count ? route_names[i] : route_names.back();
}

operation_table::operation_table(std::vector<operation> rows) : rows_(std::move(rows)) {
  nodes_.emplace_back();
  for (std::uint32_t i = 0; i < rows_.size(); ++i) {
    if (!rows_[i].path.empty() || !rows_[i].method.empty())
      add_http(i);
    if (!rows_[i].name.empty())
      add_oap(i);
  }
  std::ranges::sort(names_);
  for (auto& n : nodes_)
    std::ranges::sort(n.literals);
}

std::uint32_t operation_table::child(std::uint32_t at, std::string_view segment) {
  const auto next = static_cast<std::uint32_t>(nodes_.size());
  auto& n = nodes_[at];
  if (is_parameter(segment)) {
    if (n.parameter != none)
      return n.parameter;
    n.parameter = next;
  } else {
    auto i =
        std::ranges::find(n.literals, segment, &std::pair<std::string_view, std::uint32_t>::first);
    if (i != n.literals.end())
      return i->second;
    n.literals.emplace_back(segment, next);
  }
  nodes_.emplace_back();
  return next;
}

void operation_table::add_http(std::uint32_t row) {
  const auto& op = rows_[row];
  auto refuse = [&op](const char* why) {
    throw std::invalid_argument("operation " + std::string{op.method} + " " + std::string{op.path}
                                + ": " + why);
  };
  if (op.method.empty() || !op.path.starts_with('/'))
    refuse("needs a method and a path that starts with '/'");
  if (op.method == "HEAD")
    refuse("HEAD is served by the GET row");
  std::uint32_t at = 0;
  bool tail = false;
  for_each_segment(op.path, [&](std::string_view segment) {
    if (tail)
      refuse("a tail parameter must come last");
    if (segment.find_first_of("{}%") != std::string_view::npos && !is_parameter(segment))
      refuse("malformed segment");
    tail = is_tail(segment);
    if (!tail)
      at = child(at, segment);
  });
  auto& list = tail ? nodes_[at].tails : nodes_[at].rows;
  if (std::ranges::any_of(list, [&](auto i) { return rows_[i].method == op.method; }))
    refuse("another row has the same method and path");
  list.push_back(row);
}

void operation_table::add_oap(std::uint32_t row) {
  auto name = rows_[row].name;
  if (std::ranges::any_of(names_, [&](const auto& n) { return n.first == name; }))
    throw std::invalid_argument("operation " + std::string{name} + ": defined twice");
  names_.emplace_back(name, row);
}

/// The rows at the end of `path`: a literal segment wins over a parameter, both over a tail.
/// Depth is bounded by the patterns, not by the request.
const std::vector<std::uint32_t>* operation_table::walk(std::uint32_t at,
                                                        std::span<const std::string> path,
                                                        std::size_t depth) const {
  const auto& n = nodes_[at];
  if (depth == path.size())
    return n.rows.empty() ? nullptr : &n.rows;
  const std::string_view segment = path[depth];
  auto i = std::ranges::lower_bound(n.literals, segment, {},
                                    &std::pair<std::string_view, std::uint32_t>::first);
  if (i != n.literals.end() && i->first == segment)
    if (auto* found = walk(i->second, path, depth + 1))
      return found;
  if (segment.empty())
    return nullptr;
  if (n.parameter != none)
    if (auto* found = walk(n.parameter, path, depth + 1))
      return found;
  return n.tails.empty() ? nullptr : &n.tails;
}

core::result<operation_table::match> operation_table::find_http(std::string_view method,
                                                                std::string_view path) const {
  auto unknown = [] {
    return core::fail(core::ec::not_found, "no such route");
  };
  if (!path.starts_with('/'))
    return unknown();
  std::vector<std::string> decoded;
  std::optional<core::error> bad;
  for_each_segment(path, [&](std::string_view segment) {
    if (auto text = decode_segment(segment))
      decoded.push_back(std::move(*text));
    else if (!bad)
      bad = std::move(text.error());
  });
  if (bad)
    return std::unexpected{std::move(*bad)};
  const auto* rows = walk(0, decoded, 0);
  if (!rows)
    return unknown();
  auto row = std::ranges::find_if(*rows, [&](auto i) { return serves(rows_[i].method, method); });
  if (row == rows->end()) {
    std::string allowed;
    for (auto i : *rows) {
      allowed += (allowed.empty() ? "" : ", ") + std::string{rows_[i].method};
      if (rows_[i].method == "GET")
        allowed += ", HEAD";
    }
    return core::fail(core::ec::method_not_allowed, std::move(allowed));
  }
  match out{.op = &rows_[*row], .params = {}};
  std::size_t depth = 0;
  for_each_segment(out.op->path, [&](std::string_view segment) {
    if (is_tail(segment)) {
      std::string rest = std::move(decoded[depth]);
      for (auto i = depth + 1; i < decoded.size(); ++i)
        rest += '/' + decoded[i];
      out.params.emplace_back(parameter_name(segment), std::move(rest));
    } else if (is_parameter(segment)) {
      out.params.emplace_back(parameter_name(segment), std::move(decoded[depth]));
    }
    ++depth;
  });
  return out;
}

core::result<const operation*> operation_table::find_oap(std::string_view name) const {
  auto i = std::ranges::lower_bound(names_, name, {},
                                    &std::pair<std::string_view, std::uint32_t>::first);
  if (i == names_.end() || i->first != name)
    return core::fail(core::ec::unknown_operation, "no such operation");
  return &rows_[i->second];
}

} // namespace ron::transport
