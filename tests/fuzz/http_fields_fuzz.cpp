#include "core/json.hpp"
#include "transport/http/conditional.hpp"
#include "transport/http/request_fields.hpp"
#include "transport/http/target.hpp"
#include "transport/operation.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void expect(bool ok) {
  if (!ok)
    std::abort();
}

} // namespace

/// Any text as each of the fields and as a query: no crash, no value outside its range.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron;
  const std::string_view text{reinterpret_cast<const char*>(data), size};

  if (auto r = http::parse_range(text)) {
    expect(r->first.has_value() != r->suffix.has_value());
    expect(!r->last || *r->first <= *r->last);
    transport::call c;
    c.range = r;
    for (std::uint64_t length : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1'000}})
      if (auto span = http::select_span(c, core::cid{}, length))
        expect(span->partial && span->length > 0 && span->first < length
               && span->length <= length - span->first);
  }
  http::none_match_hits(text, "\"b3:aa\"");

  http::request_head h;
  for (auto name : {"accept", "x-deadline-ms", "authorization", "idempotency-key", "content-type",
                    "x-corr-id", "traceparent"})
    h.fields.push_back({name, text});
  http::read_accept(h);
  http::read_corr_id(h);
  http::read_trace(h);
  if (auto d = http::read_deadline(h))
    expect(!*d || (*d)->count() >= 0);
  if (auto k = http::read_idempotency_key(h))
    expect(!k->empty() && k->size() <= 128);
  if (auto c = http::read_capability(h))
    expect(!c->empty() && c->size() <= 4'096);
  if (auto f = http::read_content_type(h))
    expect(*f == http::format::json || *f == http::format::cbor);

  auto args = core::json::object();
  const std::vector<transport::query_param> spec{
    {"limit", transport::query_param::type::integer}, {"prefix"}};
  if (http::read_query(text, spec, args)) {
    expect(args.size() <= spec.size());
    expect(!args.contains("limit") || args["limit"].is_number_integer());
    expect(core::parse_json(core::dump_json(args)).has_value());
  }
  return 0;
}
