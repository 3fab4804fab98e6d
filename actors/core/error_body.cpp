#include "core/error_body.hpp"

#include "core/json.hpp"
#include "core/json_writer.hpp"
#include "core/utf8.hpp"

namespace ron::core {

std::uint32_t retry_after_ms(const error& e) noexcept {
  constexpr std::uint32_t unsaid_ms = 1'000;
  if (e.retry_after_ms != 0)
    return e.retry_after_ms;
  auto status = info(e.code).http_status;
  return status == 429 || status == 503 ? unsaid_ms : 0;
}

std::uint32_t retry_after_s(const error& e) noexcept {
  auto ms = retry_after_ms(e);
  return ms / 1'000 + (ms % 1'000 != 0 ? 1 : 0);
}

std::string error_body(const error& e, std::string_view corr_id) {
  const auto& row = info(e.code);
  std::string out;
  out.reserve(160 + e.message.size());
  json_writer w{out};
  w.begin_object()
    .member("code", row.code)
    .member("message", clip_utf8(e.message, limits::error_message_bytes_max))
    .member("reason", row.reason)
    .member("retryable", row.retryable);
  if (auto ms = retry_after_ms(e); ms != 0)
    w.member("retry_after_ms", ms);
  w.member("corr_id", corr_id).end_object();
  return out;
}

json error_json(const error& e, std::string_view corr_id) {
  const auto& row = info(e.code);
  json out{{"code", row.code},
           {"message", clip_utf8(e.message, limits::error_message_bytes_max)},
           {"reason", row.reason},
           {"retryable", row.retryable},
           {"corr_id", corr_id}};
  if (auto ms = retry_after_ms(e); ms != 0)
    out["retry_after_ms"] = ms;
  return out;
}

bytes error_body_cbor(const error& e, std::string_view corr_id) {
  return dump_cbor(error_json(e, corr_id));
}

} // namespace ron::core
