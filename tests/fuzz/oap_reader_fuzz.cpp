#include "oap/reader.hpp"

#include "oap/hello.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace ron;

void must(bool ok) {
  if (!ok)
    std::abort();
}

// Every field of a frame that passed is inside it.
void look(const oap::frame_view& f) {
  auto inside = [&f](const auto& v) {
    auto* p = reinterpret_cast<const std::uint8_t*>(v.data());
    auto w = f.wire();
    must(v.empty() || (p >= w.data() && p + v.size() <= w.data() + w.size()));
  };
  inside(f.cap());
  inside(f.body());
  switch (f.kind()) {
    case oap::kind::hello:
      (void)oap::parse_hello(f.body());
      break;
    case oap::kind::start:
      inside(oap::read_start(f).name);
      inside(oap::read_start(f).args);
      break;
    case oap::kind::data:
    case oap::kind::end:
      inside(oap::read_data(f).bytes);
      break;
    case oap::kind::ack:
      must(oap::read_ack(f).window <= 1'024);
      break;
    case oap::kind::error:
      inside(oap::read_error(f).message);
      (void)oap::parse_error_json(oap::read_error(f).message);
      break;
  }
}

} // namespace

// The reader on arbitrary bytes under four sets of limits; a longer prefix never takes a verdict
// back, and what is decided in line is what all the checks say.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const oap::reader_limits all[] = {{}, {.max_frame = 66'560, .x1 = true}, {.zstd = false},
                                    {.max_frame = 16'422, .max_cap = 65'535}};
  for (const auto& limits : all) {
    core::byte_view in{data, size};
    while (true) {
      auto r = oap::next(in, limits);
      auto checked = oap::detail::next_checked(in, limits);
      must(r.is == checked.is && r.kind == checked.kind && r.why == checked.why
           && r.len == checked.len);
      if (r.is == oap::read_status::frame) {
        must(r.len >= oap::header_bytes && r.len <= in.size() && r.len <= limits.max_frame);
        auto shorter = oap::next(in.first(r.len - 1), limits);
        must(shorter.is == oap::read_status::need_more);
        look(oap::view_of(in, r));
        in = in.subspan(r.len);
        continue;
      }
      if (r.is == oap::read_status::need_more)
        must(r.len > in.size());
      else
        must(oap::is_reject(r.why));
      break;
    }
  }
  return 0;
}
