#include "oap/hello.hpp"
#include "oap/session.hpp"
#include "oap/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using namespace ron;

void must(bool ok) {
  if (!ok)
    std::abort();
}

bool same(const oap::hello& a, const oap::hello& b) {
  return a.ua == b.ua && a.versions == b.versions && a.max_frame == b.max_frame
         && a.max_inflight == b.max_inflight && a.max_streams == b.max_streams
         && a.ack_window == b.ack_window && a.flags_supported == b.flags_supported
         && a.transports == b.transports && a.features == b.features && a.pq == b.pq;
}

void check_agreement(const oap::hello& h) {
  const oap::hello ours{.max_frame = 1'048'576,
                        .max_inflight = 1'024,
                        .max_streams = 65'536,
                        .ack_window = 1'024,
                        .features = {"x1", "zstd"}};
  auto a = oap::negotiate(ours, h, false);
  must(a.max_frame >= 66'560 && a.max_frame <= 1'048'576);
  must(a.max_inflight >= 64 && a.max_inflight <= 1'024);
  must(a.max_streams >= 64 && a.max_streams <= 65'536);
  must(a.ack_window >= 8 && a.ack_window <= 1'024);
  must(a.x1 == h.has_feature("x1") && a.zstd == h.has_feature("zstd"));
  must(oap::negotiate(ours, h, true).x1);
  must(oap::negotiate(h, ours, false) == a); // both ends come to the same
}

// A session takes exactly the texts that the parser takes, in one read as in two.
void check_session(core::byte_view body, bool good, std::size_t cut) {
  auto w = oap::test::hello_frame(true, {reinterpret_cast<const char*>(body.data()), body.size()});
  oap::session s{oap::role::acceptor, {.alpn = false}};
  auto all = oap::test::to_bytes(w);
  cut %= w.size();
  s.on_bytes(core::bytes::copy(all.view().first(cut)), {});
  s.on_bytes(core::bytes::copy(all.view().subspan(cut)), {});
  must(s.hello_received() == good && s.is_closed() != good);
}

} // namespace

// HELLO's text: taken or refused, never half; what was taken survives being written and read again,
// and stays within floors and law.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  core::byte_view body{data, size};
  auto h = oap::parse_hello(body);
  must(!h || size <= 16'384);
  if (size <= 16'384)
    check_session(body, h.has_value(), size * 7 / 3);
  if (!h)
    return 0;
  auto text = oap::build_hello(*h);
  must(text.size() <= 16'384);
  auto again = oap::parse_hello(
      core::byte_view{reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  must(again.has_value());
  must(same(*h, *again) || text.size() + 4'096 > 16'384 || size > 8'192);
  check_agreement(*h);
  return 0;
}
