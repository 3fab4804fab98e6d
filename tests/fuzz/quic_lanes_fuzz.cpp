// Bytes on the streams of a QUIC connection, up to the session: each piece is behind two bytes that
// say on which stream it comes, how long it is and whether the stream ends or is reset there.
#include "oap/session.hpp"
#include "transport/quic/frame_lanes.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace ron;
using namespace transport::quic;

class carrier final : public stream_carrier {
public:
  std::optional<stream_id> open_stream() override { return std::nullopt; }
  void send(stream_id, core::bytes) override {
    // nop
  }
  void finish(stream_id) override {
    // nop
  }
  void reset(stream_id, app_code) override {
    // nop
  }
  void stop(stream_id, app_code) override {
    // nop
  }
  void credit(std::size_t n) override { credited += n; }
  std::size_t credited = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  carrier wire;
  frame_lanes lanes{side::server, wire, core::limits::oap_frame_bytes_default};
  oap::session_settings settings;
  settings.independent_streams = true;
  oap::session session{oap::role::acceptor, settings};
  oap::events events;
  std::vector<core::bytes> out;
  std::size_t came = 0;
  for (std::size_t at = 0; at + 2 <= size;) {
    const auto id = static_cast<stream_id>(data[at] & 0x0f) * 4;
    const unsigned how = data[at] >> 4;
    const auto n = std::min<std::size_t>(data[at + 1], size - at - 2);
    at += 2;
    if (how == 15)
      lanes.on_stream_reset(id, n);
    else if (how == 14)
      lanes.on_stream_stopped(id, n);
    else if (how == 13)
      lanes.on_stream_closed(id);
    else
      lanes.on_stream_data(id, {data + at, n}, how == 12);
    came += n;
    at += n;
    while (lanes.ready())
      session.on_bytes(lanes.take(), core::instant{});
    while (session.take_events(events))
      for (auto& e : events)
        if (auto* d = std::get_if<oap::data>(&e))
          session.consumed(d->corr);
    if (session.take(out))
      lanes.write(out);
    if (lanes.unfinished_bytes() > came || wire.credited > came)
      std::abort(); // more than there was
  }
  return 0;
}
