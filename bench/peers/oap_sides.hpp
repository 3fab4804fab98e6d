#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

/// The sides of the OAP comparison. Each decodes the same payloads, `wire_bytes` or more of them,
/// in the form that its protocol gives them, from memory that is in cache, and looks at the number,
/// the sequence and the place of every payload. What a side returns is the number of frames.
namespace ron::bench {

/// Bytes of payload that one round decodes, as many as one read brings: they fit into the
/// second-level cache with all their headers.
constexpr std::size_t round_bytes = 128u << 10;

/// Rounds between two looks at the clock, which costs as much as many frames.
constexpr std::size_t rounds_at_once = 64;

/// A decoder with its prepared wire.
class decoder {
public:
  virtual ~decoder() = default;
  /// What comes before rounds and is not timed; how many rounds can follow.
  virtual std::size_t prepare() { return rounds_at_once; }
  /// Decodes the wire once; the number of frames.
  virtual std::size_t round() = 0;
};

/// OAP/1 DATA frames by the reader, every check on.
std::unique_ptr<decoder> ours(std::size_t payload);
/// The same through a session: stream, credit, acknowledgements and events on top.
std::unique_ptr<decoder> ours_session(std::size_t payload);
/// HTTP/2 DATA frames of one stream by `nghttp2_session_mem_recv`; credit is given back.
std::unique_ptr<decoder> nghttp2(std::size_t payload);
/// Length-delimited messages into one reused message.
std::unique_ptr<decoder> protobuf(std::size_t payload);
/// A fixed header of 16 bytes whose length is held against a limit and the end: the least that
/// anything must do.
std::unique_ptr<decoder> bare_loop(std::size_t payload);

/// Of 64 KiB frames: two slabs of a busy link, so that frames straddle them.
constexpr std::size_t reads_bytes = 4u << 20;
/// 64 KiB frames as reads of 1 to 128 KiB bring them, each read where the socket would put it.
std::unique_ptr<decoder> ours_reads();
std::unique_ptr<decoder> nghttp2_reads();
/// Bytes that `ours_reads` has copied for every 64 it received.
double copied_per_64(const decoder& ours);

/// The sizes of the reads, the same for both sides: they add up to `total`.
std::vector<std::size_t> read_sizes(std::size_t total);

/// Frames that close or acknowledge, 1,000 in a round, written into the buffers that go out.
std::unique_ptr<decoder> ours_acks();
std::unique_ptr<decoder> nghttp2_window_updates();
std::unique_ptr<decoder> ours_ends();
std::unique_ptr<decoder> nghttp2_ends();

} // namespace ron::bench
