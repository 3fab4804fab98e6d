// Pieces of work with OAP that are counted (counted.hpp). No clock, no random number: the same
// program does the same on every machine and at every load.

#include "gate/counted.hpp"
#include "oap/reader.hpp"
#include "oap/session.hpp"
#include "oap/writer.hpp"

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace ron;

struct work {
  std::vector<std::uint8_t> wire{};
  core::bytes payload{};
  std::uint64_t operations = 0;
  std::uint64_t sum = 0; ///< printed, so that nothing is left out
};

std::vector<std::uint8_t> joined(oap::writer& w) {
  std::vector<core::bytes> slices;
  w.take(slices);
  std::vector<std::uint8_t> out;
  for (const auto& b : slices)
    out.insert(out.end(), b.view().begin(), b.view().end());
  return out;
}

work data_frames(std::size_t size, std::uint64_t count) {
  work k;
  oap::writer w;
  k.payload = core::bytes::copy(std::string(size, 'x'));
  for (std::uint64_t i = 1; i <= count; ++i)
    w.data({.corr = 1, .app = 1, .flags = oap::flag::req, .seq = i}, k.payload);
  k.wire = joined(w);
  k.operations = count;
  return k;
}

// -- cases -------------------------------------------------------------------------------

void decode(work& k) {
  core::byte_view in{k.wire};
  while (!in.empty()) {
    auto r = oap::next(in, {.x1 = true});
    if (r.is != oap::read_status::frame)
      std::abort();
    auto d = oap::read_data(oap::view_of(in, r));
    k.sum += d.seq + d.bytes.size();
    in = in.subspan(r.len);
  }
}

// One byte more at a time: what a reader costs that is asked again and again.
void decode_pathological(work& k) {
  core::byte_view in{k.wire};
  for (std::size_t n = 0; n <= in.size(); ++n)
    k.sum += oap::next(in.first(n), {.x1 = true}).len;
}

void header_reject(work& k) {
  for (std::uint64_t i = 0; i < k.operations; ++i) {
    k.wire[5] = static_cast<std::uint8_t>(2 + i % 2);
    k.sum += static_cast<std::uint64_t>(oap::next(k.wire, {}).why);
  }
}

void encode_data(work& k) {
  oap::writer w;
  std::vector<core::bytes> out;
  for (std::uint64_t i = 1; i <= k.operations; ++i) {
    w.data({.corr = 1, .app = 1, .flags = oap::flag::resp, .status = 200, .seq = i}, k.payload);
    if (i % 64 == 0) {
      out.clear();
      w.take(out);
      k.sum += out.size();
    }
  }
}

void encode_ack(work& k) {
  oap::writer w;
  std::vector<core::bytes> out;
  for (std::uint64_t i = 1; i <= k.operations; ++i) {
    w.ack(1, i, 8);
    if (i % 64 == 0) {
      out.clear();
      w.take(out);
      k.sum += out.size();
    }
  }
}

// Two sessions in one process; a frame up and a frame down on an open stream, acknowledged.
void echo(work& k, std::string pq) {
  oap::session_settings settings;
  settings.pq = std::move(pq);
  oap::session up{oap::role::dialer, settings};
  oap::session down{oap::role::acceptor, settings};
  auto corr = up.open({.name = "echo"});
  oap::events batch;
  std::vector<core::bytes> out;
  auto carry = [&](oap::session& from, oap::session& to) {
    out.clear();
    from.take(out);
    for (auto& b : out)
      to.on_bytes(std::move(b), {});
    while (to.take_events(batch))
      for (const auto& e : batch)
        if (const auto* d = std::get_if<oap::data>(&e)) {
          k.sum += d->bytes.size();
          to.consumed(d->corr);
          if (&to == &down && to.send(d->corr, d->bytes) != oap::send_status::sent)
            std::abort();
        }
  };
  for (std::uint64_t i = 0; i < k.operations; ++i) {
    if (!corr || up.send(*corr, k.payload) != oap::send_status::sent)
      std::abort();
    carry(up, down);
    carry(down, up);
  }
}
void session_echo(work& k) {
  echo(k, "");
}
void session_echo_pq(work& k) {
  echo(k, R"({"mode":2,"kex":1,"sig":1})");
}

/// A case on `count` frames of `size` bytes.
bench::counted_case on_frames(std::string_view name, void (*run)(work&), std::size_t size,
                              std::uint64_t count) {
  return {name, count, [=] {
            return [run, k = std::make_shared<work>(data_frames(size, count))] {
              run(*k);
              return k->sum;
            };
          }};
}

} // namespace

int main(int argc, char** argv) {
  return bench::count_main(argc, argv,
                           {
                             on_frames("decode_32", decode, 32, 20'000),
                             on_frames("decode_256", decode, 256, 4'000),
                             on_frames("decode_4096", decode, 4'096, 1'000),
                             on_frames("decode_65536", decode, 65'536, 100),
                             on_frames("decode_pathological", decode_pathological, 32, 100),
                             on_frames("header_reject", header_reject, 32, 20'000),
                             on_frames("encode_data_32", encode_data, 32, 20'000),
                             on_frames("encode_data_65536", encode_data, 65'536, 1'000),
                             on_frames("encode_ack", encode_ack, 0, 20'000),
                             on_frames("session_echo_1024", session_echo, 1'024, 2'000),
                             on_frames("hello_exchange", session_echo, 32, 1),
                             on_frames("connection_256", session_echo, 32, 256),
                             on_frames("connection_256_pq", session_echo_pq, 32, 256),
                           });
}
