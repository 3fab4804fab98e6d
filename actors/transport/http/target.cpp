#include "transport/http/target.hpp"

#include "core/json.hpp"
#include "core/utf8.hpp"
#include "transport/operation.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace ron::http {

namespace {

using core::ec;
using core::fail;

core::result<std::string> decode(std::string_view in) {
  std::string out;
  out.reserve(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (in[i] == '%') {
      std::uint8_t byte = 0;
      if (!core::from_hex(in.substr(i + 1, 2), {&byte, 1}))
        return fail(ec::bad_request, "the query has a malformed percent escape");
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += in[i] == '+' ? ' ' : in[i];
    }
  }
  if (out.find('\0') != std::string::npos || !core::valid_utf8(out))
    return fail(ec::bad_request, "the query has NUL or bytes that are not UTF-8");
  return out;
}

core::result<core::json> integer(std::string_view name, std::string_view text) {
  auto digits = text.starts_with('-') ? text.substr(1) : text;
  constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t n = 0;
  if (!read_number(digits, max, n) || (n == 0 && digits.size() != text.size()))
    return fail(ec::bad_request, "query parameter `" + std::string{name} + "` is no integer");
  const auto value = static_cast<std::int64_t>(n);
  return core::json(digits.size() == text.size() ? value : -value);
}

core::result<void> read_one(std::string_view item, std::span<const transport::query_param> spec,
                            core::json& args) {
  auto equals = item.find('=');
  auto name = decode(item.substr(0, equals));
  if (!name)
    return std::unexpected{std::move(name.error())};
  auto value = decode(equals == std::string_view::npos ? "" : item.substr(equals + 1));
  if (!value)
    return std::unexpected{std::move(value.error())};
  auto known = std::ranges::find(spec, std::string_view{*name}, &transport::query_param::name);
  if (known == spec.end())
    return fail(ec::bad_request, "unknown query parameter");
  if (args.contains(*name))
    return fail(ec::bad_request, "query parameter `" + *name + "` is given twice");
  if (known->is == transport::query_param::type::text) {
    args[*name] = std::move(*value);
    return {};
  }
  auto number = integer(known->name, *value);
  if (!number)
    return std::unexpected{std::move(number.error())};
  args[*name] = std::move(*number);
  return {};
}

} // namespace

target_parts split_target(std::string_view target) noexcept {
  auto mark = target.find('?');
  if (mark == std::string_view::npos)
    return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

bool read_number(std::string_view text, std::uint64_t max, std::uint64_t& out) noexcept {
  if (text.empty() || (text.size() > 1 && text.front() == '0')
      || text.find_first_not_of("0123456789") != std::string_view::npos)
    return false;
  auto r = std::from_chars(text.data(), text.data() + text.size(), out);
  return r.ec == std::errc{} && out <= max;
}

core::result<void> read_query(std::string_view query, std::span<const transport::query_param> spec,
                              core::json& args) {
  if (query.empty())
    return {};
  for (;;) {
    auto end = query.find('&');
    if (auto r = read_one(query.substr(0, end), spec, args); !r)
      return r;
    if (end == std::string_view::npos)
      return {};
    query.remove_prefix(end + 1);
  }
}

} // namespace ron::http
