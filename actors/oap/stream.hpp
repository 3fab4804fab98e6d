#pragma once

#include "core/ids.hpp"
#include "oap/corr_map.hpp"
#include "oap/credit.hpp"
#include "oap/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

/// The state of one stream and the tables of a connection's streams. Pure.
namespace ron::oap {

/// The object rule of one half (OAP1.md, section 8): a half that was declared to carry an object
/// names it on the first frame with object bytes, and never another one.
class obj_rule {
public:
  obj_rule() noexcept = default;
  /// `result_first`: the first bytes of the half are the answer's result, not yet the object's.
  obj_rule(bool declared, bool result_first) noexcept
    : declared_(declared), result_first_(declared && result_first) {
    // nop
  }
  /// Looks at one frame; `obj`: its 32 bytes of id or null. A push carries no object bytes.
  /// Errors: missing_obj, obj_form.
  reason on_frame(bool has_bytes, bool push, const std::uint8_t* obj) noexcept;

private:
  bool declared_ = false;
  bool result_first_ = false;
  bool known_ = false;
  core::cid id_;
};

struct stream;

/// Neighbours in one of the lists a stream may be in.
struct list_hook {
  stream* prev = nullptr;
  stream* next = nullptr;
  bool in = false;
};

enum class wait_for : std::uint8_t {
  nothing,
  window, ///< the peer's ACK
  turn,   ///< the connection's share of frames in flight, or the link
};

/// One open stream.
struct stream {
  corr_t corr = 0;
  core::tenant tenant;
  std::uint16_t app = 0;
  bool ext = true;      ///< with extension blocks and credit (x1)
  bool tx_open = false; ///< our half
  bool rx_open = false; ///< the peer's half
  bool paused = false;
  wait_for waits = wait_for::nothing;
  send_credit tx;
  receive_credit rx;
  std::uint32_t rx_target = 0; ///< frames this half may hold unconsumed; grows while it is busy
  std::uint32_t turn = 0;      ///< the round of `take_events` in which it was this stream's turn
  std::uint64_t tx_start = 0;
  obj_rule tx_obj;
  obj_rule rx_obj;
  list_hook all;     ///< open streams, in order of opening
  list_hook due;     ///< an ACK is to be sent
  list_hook unacked; ///< received frames are not acknowledged
  list_hook line;    ///< waits for a turn

  /// App of a frame equals that of START, tenant too or is 0.
  bool owns(const frame_view& f) const noexcept;
};

/// A list through `Hook`: constant time, no memory of its own, first in first out.
template <list_hook stream::* Hook>
class stream_list {
public:
  bool empty() const noexcept { return head_ == nullptr; }
  stream* front() const noexcept { return head_; }
  std::size_t size() const noexcept { return size_; }
  static stream* next(const stream& s) noexcept { return (s.*Hook).next; }

  /// Does nothing if it is in the list already.
  void push_back(stream& s) noexcept {
    auto& h = s.*Hook;
    if (h.in)
      return;
    h = {tail_, nullptr, true};
    (tail_ ? (tail_->*Hook).next : head_) = &s;
    tail_ = &s;
    ++size_;
  }
  /// Does nothing if it is not in the list.
  void remove(stream& s) noexcept {
    auto& h = s.*Hook;
    if (!h.in)
      return;
    (h.prev ? (h.prev->*Hook).next : head_) = h.next;
    (h.next ? (h.next->*Hook).prev : tail_) = h.prev;
    h = {};
    --size_;
  }

private:
  stream* head_ = nullptr;
  stream* tail_ = nullptr;
  std::size_t size_ = 0;
};

/// The open streams of a connection. Objects are reused: opening one costs an allocation only
/// when more are open than ever before. Bounded by its owner (max_streams).
class stream_table {
public:
  /// Precondition: `corr` is not open.
  stream& open(corr_t corr);
  stream* find(corr_t corr) noexcept;
  const stream* find(corr_t corr) const noexcept {
    return const_cast<stream_table*>(this)->find(corr);
  }
  /// The caller has taken `s` out of its lists.
  void close(stream& s) noexcept;
  std::size_t size() const noexcept { return map_.size(); }
  std::size_t memory_bytes() const noexcept;
  /// Frees spare streams if none is open.
  void trim() noexcept;

private:
  corr_map<stream*> map_;
  std::vector<std::unique_ptr<stream>> pool_; ///< all, open or spare
  std::vector<stream*> spare_;
  stream* last_ = nullptr; ///< frames of a stream come in runs
};

/// What we remember of a stream that ended by ERROR; the rest matters only if it was ours.
struct errored {
  corr_t corr = 0;
  std::uint32_t frames_left = 0; ///< DATA and END that may still have been in flight
  bool end_left = true;          ///< one END without bytes
  bool error_left = true;        ///< one ERROR that crossed ours
};

/// The last 1,024 of them.
class errored_table {
public:
  errored* find(corr_t corr) noexcept;
  void remember(const errored& e);
  std::size_t size() const noexcept { return ring_.size(); }
  std::size_t memory_bytes() const noexcept {
    return ring_.capacity() * sizeof(errored) + map_.memory_bytes();
  }

private:
  std::vector<errored> ring_; ///< grows to its maximum, then the oldest is overwritten
  std::size_t oldest_ = 0;
  corr_map<std::uint32_t> map_;
};

} // namespace ron::oap
