#include "oap/hello.hpp"

#include "core/error.hpp"
#include "core/json.hpp"
#include "core/json_writer.hpp"

#include <algorithm>
#include <limits>

namespace ron::oap {

namespace {

namespace lim = core::limits;

// Each reader: false if the value has the wrong type or is below its floor.

bool read_number(const core::json& v, std::uint32_t floor, std::uint32_t& out) {
  if (!v.is_number_unsigned()) // the parser makes every non-negative integer unsigned
    return false;
  auto n = v.get<std::uint64_t>();
  if (n < floor)
    return false;
  out = static_cast<std::uint32_t>(
    std::min<std::uint64_t>(n, std::numeric_limits<std::uint32_t>::max()));
  return true;
}

bool read_strings(const core::json& v, std::vector<std::string>& out) {
  if (!v.is_array())
    return false;
  out.clear();
  for (const auto& x : v) {
    if (!x.is_string())
      return false;
    out.push_back(x.get<std::string>());
  }
  return true;
}

bool read_versions(const core::json& v, std::vector<std::uint32_t>& out) {
  if (!v.is_array())
    return false;
  out.clear();
  for (const auto& x : v) {
    std::uint32_t n = 0;
    if (!read_number(x, 0, n))
      return false;
    out.push_back(n);
  }
  return std::ranges::find(out, 1u) != out.end();
}

bool read_field(std::string_view key, const core::json& v, hello& out) {
  if (key == "ua") {
    if (v.is_null())
      return true;
    if (!v.is_string())
      return false;
    out.ua = v.get<std::string>();
    return true;
  }
  if (key == "versions")
    return read_versions(v, out.versions);
  if (key == "max_frame")
    return read_number(v, lim::oap_frame_bytes_default, out.max_frame);
  if (key == "max_inflight")
    return read_number(v, lim::oap_inflight_default, out.max_inflight);
  if (key == "max_streams")
    return read_number(v, lim::oap_streams_floor, out.max_streams);
  if (key == "ack_window")
    return read_number(v, lim::oap_ack_window_default, out.ack_window);
  if (key == "flags_supported")
    return read_number(v, 0, out.flags_supported);
  if (key == "transports")
    return read_strings(v, out.transports);
  if (key == "features")
    return read_strings(v, out.features);
  if (key == "pq") {
    if (!v.is_object())
      return false;
    out.pq = core::dump_json(v);
  }
  return true; // unknown keys are ignored
}

std::string write_hello(const hello& h, bool with_pq, bool with_lists) {
  core::json doc{
    {"ua", h.ua},
    {"versions", h.versions},
    {"max_frame", h.max_frame},
    {"max_inflight", h.max_inflight},
    {"max_streams", h.max_streams},
    {"ack_window", h.ack_window},
    {"flags_supported", h.flags_supported},
  };
  if (with_lists) {
    doc["transports"] = h.transports;
    doc["features"] = h.features;
  } else {
    doc["ua"] = "";
  }
  if (with_pq && !h.pq.empty())
    if (auto pq = core::parse_json(std::string_view{h.pq}); pq && pq->is_object())
      doc["pq"] = std::move(*pq);
  return core::dump_json(doc);
}

} // namespace

bool hello::has_feature(std::string_view name) const noexcept {
  return std::ranges::find(features, name) != features.end();
}

std::string build_hello(const hello& h) {
  auto text = write_hello(h, true, true);
  if (text.size() > lim::oap_hello_body_bytes_max)
    text = write_hello(h, false, true);
  if (text.size() > lim::oap_hello_body_bytes_max)
    text = write_hello(h, false, false);
  return text;
}

std::optional<hello> parse_hello(core::byte_view body) {
  if (body.size() > lim::oap_hello_body_bytes_max)
    return std::nullopt;
  auto doc = core::parse_json(body);
  if (!doc || !doc->is_object())
    return std::nullopt;
  hello out;
  for (const auto& [key, value] : doc->items())
    if (!read_field(key, value, out))
      return std::nullopt;
  return out;
}

agreement negotiate(const hello& ours, const hello& theirs, bool alpn) noexcept {
  agreement a;
  a.max_frame = std::min({ours.max_frame, theirs.max_frame, lim::oap_frame_bytes_law});
  a.max_inflight = std::min({ours.max_inflight, theirs.max_inflight, lim::oap_inflight_max});
  a.max_streams = std::min({ours.max_streams, theirs.max_streams, lim::oap_streams_max});
  a.ack_window = std::min({ours.ack_window, theirs.ack_window, lim::oap_ack_window_max});
  a.x1 = alpn || (ours.has_feature("x1") && theirs.has_feature("x1"));
  a.zstd = ours.has_feature("zstd") && theirs.has_feature("zstd");
  return a;
}

agreement floors(bool alpn) noexcept {
  agreement a;
  a.x1 = alpn;
  return a;
}

std::string build_error_json(reason why, std::string_view message, std::uint32_t retry_after_ms,
                             std::uint64_t corr) {
  auto known = core::from_oap_reason(static_cast<std::uint16_t>(why));
  core::json doc{
    {"code", known ? std::string{core::info(*known).code} : std::string{to_string(why)}},
    {"message", std::string{message}},
    {"reason", std::string{to_string(why)}},
    {"retryable", known && core::info(*known).retryable},
    {"corr_id", std::to_string(corr)},
  };
  if (retry_after_ms)
    doc["retry_after_ms"] = retry_after_ms;
  return core::dump_json(doc);
}

json_error parse_error_json(std::string_view text) {
  json_error out;
  auto doc = core::parse_json(text, {.bytes_max = lim::oap_hello_body_bytes_max});
  if (!doc || !doc->is_object())
    return out;
  auto string_of = [&](const char* key) {
    auto it = doc->find(key);
    return it != doc->end() && it->is_string() ? it->get<std::string>() : std::string{};
  };
  out.code = string_of("code");
  out.message = string_of("message");
  if (auto it = doc->find("retry_after_ms"); it != doc->end())
    if (!read_number(*it, 0, out.retry_after_ms))
      out.retry_after_ms = 0;
  return out;
}

} // namespace ron::oap
