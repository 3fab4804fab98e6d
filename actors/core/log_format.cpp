#include "core/log_format.hpp"

#include "core/json_writer.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <charconv>

namespace ron::core::log {

namespace {

constexpr std::string_view truncated_json = ",\"truncated\":true";
constexpr std::string_view truncated_text = " truncated=true";
constexpr std::size_t tail_room = 64; ///< for `suppressed`, `truncated`, the brace, the newline

std::string_view name_of(level l) noexcept {
  switch (l) {
    case level::trace: return "trace";
    case level::debug: return "debug";
    case level::info: return "info";
    case level::warn: return "warn";
    case level::error: return "error";
    default: return "off";
  }
}

void append_padded(std::string& out, unsigned v, int width) {
  char digits[12];
  int n = 0;
  for (; n < width || v != 0; v /= 10)
    digits[n++] = static_cast<char>('0' + v % 10);
  while (n > 0)
    out += digits[--n];
}

void append_date(std::string& out, std::int64_t wall_ms) {
  using namespace std::chrono;
  auto day = floor<days>(sys_time<milliseconds>{milliseconds{wall_ms}});
  year_month_day date{day};
  append_padded(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.day()), 2);
}

void append_time(std::string& out, std::int64_t wall_ms) {
  constexpr std::int64_t day = 86'400'000;
  auto t = static_cast<unsigned>((wall_ms % day + day) % day);
  append_padded(out, t / 3'600'000, 2);
  out += ':';
  append_padded(out, t / 60'000 % 60, 2);
  out += ':';
  append_padded(out, t / 1'000 % 60, 2);
  out += '.';
  append_padded(out, t % 1'000, 3);
}

void append_number(std::string& out, const field& f) {
  char buf[32];
  char* end = buf;
  switch (f.kind()) {
    case field::type::sint: end = std::to_chars(buf, buf + sizeof(buf), f.sint()).ptr; break;
    case field::type::uint: end = std::to_chars(buf, buf + sizeof(buf), f.uint()).ptr; break;
    default: end = std::to_chars(buf, buf + sizeof(buf), f.real()).ptr; break;
  }
  out.append(buf, end);
}

void append_value(json_writer& w, const field& f) {
  switch (f.kind()) {
    case field::type::text: w.value(clip_utf8(f.text(), text_bytes_max)); break;
    case field::type::sint: w.value(f.sint()); break;
    case field::type::uint: w.value(f.uint()); break;
    case field::type::real: w.value(f.real()); break;
    case field::type::boolean: w.value(f.uint() != 0); break;
  }
}

void append_quoted(std::string& out, std::string_view s) {
  bool bare = !s.empty() && std::ranges::all_of(s, [](char c) {
    return c > ' ' && c < '\x7f' && c != '"' && c != '=' && c != '\\';
  });
  if (bare) {
    out += s;
    return;
  }
  out += '"';
  append_json_escaped(out, s);
  out += '"';
}

void append_value(std::string& out, const field& f) {
  if (f.kind() == field::type::text)
    append_quoted(out, clip_utf8(f.text(), text_bytes_max));
  else if (f.kind() == field::type::boolean)
    out += f.uint() != 0 ? "true" : "false";
  else
    append_number(out, f);
}

/// Appends each field by `append`; takes back the first one that makes the line too long.
template <class F>
void append_fields(std::string& out, const record& r, std::string_view truncated, F append) {
  for (const auto& f : r.values) {
    auto before = out.size();
    append(f);
    if (out.size() > line_bytes_max - tail_room) {
      out.resize(before);
      out += truncated;
      return;
    }
  }
}

} // namespace

std::string format_json(const record& r) {
  std::string out;
  out.reserve(256);
  out += "{\"ts\":\"";
  append_date(out, r.wall_ms);
  out += 'T';
  append_time(out, r.wall_ms);
  out += "Z\"";
  auto member = [&out](std::string_view key, const auto& write_value) {
    out += ',';
    json_writer w{out};
    w.key(key);
    write_value(w);
  };
  member("level", [&](json_writer& w) { w.value(name_of(r.severity)); });
  member("component", [&](json_writer& w) { w.value(r.component); });
  member("msg", [&](json_writer& w) { w.value(clip_utf8(r.message, text_bytes_max)); });
  append_fields(out, r, truncated_json, [&](const field& f) {
    member(clip_utf8(f.key(), text_bytes_max), [&](json_writer& w) { append_value(w, f); });
  });
  if (r.suppressed != 0)
    member("suppressed", [&](json_writer& w) { w.value(r.suppressed); });
  out += "}\n";
  return out;
}

std::string format_text(const record& r) {
  std::string out;
  out.reserve(256);
  append_time(out, r.wall_ms);
  auto column = [&out](std::string_view text, std::size_t width) {
    out += ' ';
    out += text;
    out.append(text.size() < width ? width - text.size() : 0, ' ');
  };
  std::string upper{name_of(r.severity)};
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return static_cast<char>(c - 'a' + 'A'); });
  column(upper, 5);
  column(r.component, 9);
  out += ' ';
  append_json_escaped(out, clip_utf8(r.message, text_bytes_max));
  append_fields(out, r, truncated_text, [&](const field& f) {
    out += ' ';
    append_json_escaped(out, clip_utf8(f.key(), text_bytes_max));
    out += '=';
    append_value(out, f);
  });
  if (r.suppressed != 0)
    out += " suppressed=" + std::to_string(r.suppressed);
  out += '\n';
  return out;
}

} // namespace ron::core::log
