#include "transport/http/conditional.hpp"

#include "core/json.hpp"
#include "transport/http/text.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace ron::http {

namespace {

/// Takes one entity tag off `rest`, without `W/`. Empty when there is none.
std::string_view take_tag(std::string_view& rest) noexcept {
  if (rest.starts_with("W/"))
    rest.remove_prefix(2);
  if (!rest.starts_with('"'))
    return {};
  auto end = rest.find('"', 1);
  if (end == std::string_view::npos)
    return {};
  auto tag = rest.substr(0, end + 1);
  rest.remove_prefix(end + 1);
  return tag;
}

/// Digits only; a number that does not fit becomes the largest one, which ends past any object.
std::optional<std::uint64_t> position(std::string_view text) noexcept {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  std::uint64_t n = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), n).ec != std::errc{})
    return std::numeric_limits<std::uint64_t>::max();
  return n;
}

} // namespace

std::string etag_of(const core::cid& id) {
  return '"' + id.to_text() + '"';
}

bool none_match_hits(std::string_view if_none_match, std::string_view etag) noexcept {
  auto rest = trim(if_none_match);
  if (rest == "*")
    return true;
  while (!rest.empty()) {
    auto tag = take_tag(rest);
    if (tag.empty())
      return false;
    if (tag == etag)
      return true;
    rest = trim(rest);
    if (!rest.empty() && rest.front() != ',')
      return false;
    while (rest.starts_with(','))
      rest = trim(rest.substr(1));
  }
  return false;
}

bool if_range_holds(std::string_view if_range, std::string_view etag) noexcept {
  return if_range.empty() || if_range == etag;
}

std::optional<transport::range_request> parse_range(std::string_view value) noexcept {
  constexpr std::string_view unit = "bytes=";
  if (!iequals(value.substr(0, unit.size()), unit))
    return std::nullopt;
  value.remove_prefix(unit.size());
  auto dash = value.find('-');
  if (dash == std::string_view::npos)
    return std::nullopt;
  auto left = value.substr(0, dash);
  auto right = value.substr(dash + 1);
  transport::range_request out;
  if (left.empty()) {
    out.suffix = position(right);
    return out.suffix ? std::optional{out} : std::nullopt;
  }
  out.first = position(left);
  if (!out.first)
    return std::nullopt;
  if (!right.empty()) {
    out.last = position(right);
    if (!out.last || *out.last < *out.first)
      return std::nullopt;
  }
  return out;
}

core::result<span_of_object> select_span(const transport::call& c, const core::cid& id,
                                         std::uint64_t size) {
  if (!c.range || !if_range_holds(c.if_range, etag_of(id)))
    return span_of_object{.first = 0, .length = size, .partial = false};
  const auto& r = *c.range;
  if (r.suffix) {
    const auto n = std::min(*r.suffix, size);
    if (n == 0)
      return core::fail(core::ec::range_not_satisfiable, "no byte of the range exists");
    return span_of_object{.first = size - n, .length = n, .partial = true};
  }
  const auto first = r.first.value_or(0);
  if (first >= size)
    return core::fail(core::ec::range_not_satisfiable, "no byte of the range exists");
  const auto last = std::min(r.last.value_or(size - 1), size - 1);
  return span_of_object{.first = first, .length = last - first + 1, .partial = true};
}

transport::answer unsatisfiable_range(std::uint64_t size) {
  transport::answer a;
  a.status = 416;
  a.headers.push_back({"Content-Range", "bytes */" + std::to_string(size)});
  return a;
}

std::string content_range(std::uint64_t first, std::uint64_t length, std::uint64_t size) {
  return "bytes " + std::to_string(first) + '-' + std::to_string(first + length - 1) + '/'
         + std::to_string(size);
}

} // namespace ron::http
