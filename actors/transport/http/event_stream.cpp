#include "transport/http/event_stream.hpp"

#include "core/error_body.hpp"
#include "core/json.hpp"

#include <charconv>

namespace ron::http {

std::string event_lines(const transport::event& e) {
  std::string out;
  if (!e.id.empty())
    out.append("id: ").append(e.id).append("\n");
  return out.append("data: ").append(core::dump_json(e.data)).append("\n\n");
}

std::string error_event(const core::error& e, std::string_view corr) {
  return std::string{"event: error\ndata: "}.append(core::error_body(e, corr)).append("\n\n");
}

void append_chunk(std::string& out, std::string_view text) {
  if (text.empty())
    return;
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, text.size(), 16).ptr;
  out.append(digits, end).append("\r\n").append(text).append("\r\n");
}

} // namespace ron::http
