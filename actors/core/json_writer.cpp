#include "core/json_writer.hpp"

#include "core/base64.hpp"
#include "core/utf8.hpp"

#include <charconv>
#include <cmath>

namespace ron::core {

void json_writer::separate() {
  if (need_comma_)
    out_ += ',';
  need_comma_ = true;
}

json_writer& json_writer::open(char c) {
  separate();
  out_ += c;
  need_comma_ = false;
  return *this;
}

json_writer& json_writer::close(char c) {
  out_ += c;
  need_comma_ = true;
  return *this;
}

json_writer& json_writer::key(std::string_view name) {
  value(name);
  out_ += ':';
  need_comma_ = false;
  return *this;
}

json_writer& json_writer::value(std::string_view text) {
  separate();
  out_ += '"';
  append_json_escaped(out_, text);
  out_ += '"';
  return *this;
}

json_writer& json_writer::value(byte_view v) {
  separate();
  out_ += '"';
  base64_append(out_, v);
  out_ += '"';
  return *this;
}

json_writer& json_writer::value(double v) {
  if (!std::isfinite(v))
    return null();
  char buf[32];
  auto [end, err] = std::to_chars(buf, buf + sizeof(buf), v);
  std::string_view text{buf, end};
  separate();
  out_ += text;
  if (text.find_first_of(".e") == text.npos)
    out_ += ".0"; // stays a floating point number for whoever reads it
  return *this;
}

json_writer& json_writer::raw(std::string_view text) {
  separate();
  out_ += text;
  return *this;
}

json_writer& json_writer::integer(std::int64_t v) {
  char buf[24];
  return raw({buf, std::to_chars(buf, buf + sizeof(buf), v).ptr});
}

json_writer& json_writer::natural(std::uint64_t v) {
  char buf[24];
  return raw({buf, std::to_chars(buf, buf + sizeof(buf), v).ptr});
}

} // namespace ron::core
