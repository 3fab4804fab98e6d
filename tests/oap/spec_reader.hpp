#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// OAP/1 written down a second time, as slow and plain as possible: what the real reader and
/// session are compared with. Nothing here comes from actors/oap; numbers are the protocol's own.
namespace ron::oap::spec {

using octets = std::vector<std::uint8_t>;

enum class kind { hello, start, data, ack, end, error };

/// One frame with all its fields; those of other kinds stay at their defaults.
struct frame {
  spec::kind kind = kind::hello;
  std::uint64_t len = 0, ver = 0, flags = 0, status = 0, app = 0, cap_len = 0, corr = 0;
  octets tenant{}, cap{}, body{};
  bool x = false;
  // DATA, END
  std::uint64_t seq = 0, raw_len = 0;
  std::optional<octets> obj{};
  std::optional<std::uint64_t> total{};
  octets bytes{};
  // START
  bool objects = false, reply_objects = false;
  std::uint64_t window = 0, seq_start = 0;
  octets name{}, args{};
  // ACK (and `window`)
  std::uint64_t up_to = 0;
  // ERROR
  bool has_retry_after = false;
  std::uint64_t reason = 0, retry_after_ms = 0, last_seq = 0;
  octets message{};

  bool has(std::uint64_t bit) const {
    return (flags & bit) != 0;
  }
};

struct limits {
  std::uint64_t max_frame = 1'048'576;
  std::uint64_t max_cap = 4'096;
  bool x1 = false;
  bool zstd = true;
};

/// What the first bytes of an input are: the beginning of a frame, a frame, or a breach with the
/// number of its fine detail (0 = none). `f` is as complete as the reading got.
struct verdict {
  enum { need_more, good, bad } is = need_more;
  int reason = 0;
  frame f{};
};

verdict read(const octets& in, const limits& limits);

/// Names of the six buckets; "" for a number that is no reject.
std::string bucket_of(std::uint64_t reason);
std::uint64_t status_of(std::uint64_t reason);
bool ends_connection(std::uint64_t reason);

} // namespace ron::oap::spec
