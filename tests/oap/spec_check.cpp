#include "oap/spec_check.hpp"

#include "oap/reader.hpp"
#include "oap/spec_reader.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace ron::oap::test {

namespace {

void must(bool ok, const char* what) {
  if (ok)
    return;
  std::fprintf(stderr, "reader and specification differ: %s\n", what);
  std::abort();
}

spec::octets octets(core::byte_view v) {
  return {v.begin(), v.end()};
}

bool same(core::byte_view a, const spec::octets& b) {
  return std::ranges::equal(a, b);
}
bool same(std::string_view a, const spec::octets& b) {
  return std::ranges::equal(
      a, b, [](char x, std::uint8_t y) { return static_cast<std::uint8_t>(x) == y; });
}

// Which of these a frame that breaches several gets is not ordered by the specification.
bool unordered(int a, int b) {
  auto header = [](int x) {
    return x == 4 || x == 5 || x == 6 || x == 7 || x == 8;
  };
  return header(a) && header(b);
}

void compare_fields(const frame_view& v, const spec::frame& f) {
  must(static_cast<int>(v.kind()) == static_cast<int>(f.kind), "kind");
  must(v.flags() == f.flags && v.status() == f.status && v.app() == f.app && v.corr() == f.corr
           && v.ext() == f.x,
       "header");
  must(std::ranges::equal(v.tenant().id, f.tenant), "tenant");
  must(same(v.cap(), f.cap) && same(v.body(), f.body), "cap or body");
  switch (f.kind) {
  case spec::kind::hello:
    break;
  case spec::kind::data:
  case spec::kind::end: {
    auto d = read_data(v);
    must(d.seq == f.seq && d.raw_len == f.raw_len, "seq or raw_len");
    must((d.obj != nullptr) == f.obj.has_value(), "OBJ");
    must(!d.obj || same(core::byte_view{d.obj, 32}, *f.obj), "object id");
    must(d.has_total == f.total.has_value() && d.total == f.total.value_or(0), "total");
    must(same(d.bytes, f.bytes), "bytes");
    break;
  }
  case spec::kind::start: {
    auto s = read_start(v);
    must(s.objects == f.objects && s.reply_objects == f.reply_objects, "OBJECTS");
    must(s.window == f.window && s.seq_start == f.seq_start, "window or seq_start");
    must(same(s.name, f.name) && same(s.args, f.args), "name or args");
    break;
  }
  case spec::kind::ack:
    must(read_ack(v).up_to == f.up_to && read_ack(v).window == f.window, "ACK");
    break;
  case spec::kind::error: {
    auto e = read_error(v);
    must(static_cast<std::uint64_t>(e.why) == f.reason && e.last_seq == f.last_seq, "ERROR");
    must(e.has_retry_after == f.has_retry_after && e.retry_after_ms == f.retry_after_ms,
         "RETRY_AFTER");
    must(same(e.message, f.message), "message");
    break;
  }
  }
}

// One step of both; the length of what was agreed to be a frame, 0 at the end.
std::size_t compare_step(core::byte_view in, const reader_limits& limits, const spec::limits& l) {
  auto r = next(in, limits);
  auto v = spec::read(octets(in), l);
  switch (v.is) {
  case spec::verdict::need_more:
    must(r.is == read_status::need_more && r.len > in.size(), "need_more");
    return 0;
  case spec::verdict::bad:
    must(r.is == read_status::reject, "reject");
    must(static_cast<int>(r.why) == v.reason || unordered(static_cast<int>(r.why), v.reason),
         "reason");
    must(to_string(info(r.why).bucket) == spec::bucket_of(static_cast<std::uint64_t>(v.reason)),
         "bucket");
    must((info(r.why).scope == scope::connection)
             == spec::ends_connection(static_cast<std::uint64_t>(v.reason)),
         "scope");
    return info(r.why).scope == scope::stream ? r.len : 0;
  case spec::verdict::good:
    must(r.is == read_status::frame && r.len == v.f.len, "frame");
    compare_fields(view_of(in, r), v.f);
    return r.len;
  }
  return 0;
}

} // namespace

std::size_t compare_readers(core::byte_view all) {
  struct pair {
    reader_limits real;
    spec::limits spec;
  };
  const pair pairs[] = {
      {{}, {}},
      {{.max_frame = 66'560, .x1 = true}, {.max_frame = 66'560, .x1 = true}},
      {{.max_frame = 16'422, .max_cap = 65'535, .zstd = false},
       {.max_frame = 16'422, .max_cap = 65'535, .zstd = false}},
  };
  std::size_t compared = 0;
  for (const auto& p : pairs) {
    auto in = all;
    while (true) {
      for (std::size_t n : {std::size_t{3}, std::size_t{4}, std::size_t{37}, std::size_t{38}})
        if (n < in.size())
          compare_step(in.first(n), p.real, p.spec);
      auto n = compare_step(in, p.real, p.spec);
      ++compared;
      if (n == 0)
        break;
      in = in.subspan(n);
    }
  }
  return compared;
}

} // namespace ron::oap::test
