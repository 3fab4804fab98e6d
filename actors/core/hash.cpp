#include "core/hash.hpp"

#include <blake3.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

namespace ron::core::b3 {

namespace {

static_assert(sizeof(blake3_hasher) <= sizeof(hasher) && alignof(blake3_hasher) <= alignof(hasher));

constexpr std::size_t chunk_bytes = BLAKE3_CHUNK_LEN;
constexpr std::size_t chunks_per_group = group_bytes / chunk_bytes;

// -- the compression function, BLAKE3 paper section 2.2 ---------------------------------------
// The library does not export its own. Only nodes and the last chunk of an object come here, one
// block in a thousand, so portable code is fast enough.

using words = std::array<std::uint32_t, 8>;
constexpr words iv{0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                   0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

enum flag : std::uint32_t { chunk_start = 1, chunk_end = 2, parent = 4, root = 8 };

/// The last block of a chunk or node, not yet compressed: gives a cv, or a hash as the root.
struct output {
  words cv{};
  std::array<std::uint8_t, BLAKE3_BLOCK_LEN> block{};
  std::uint32_t length = 0;
  std::uint64_t counter = 0;
  std::uint32_t flags = 0;
};

using state = std::array<std::uint32_t, 16>;
using schedule = std::array<std::uint8_t, 16>;

/// Which message word goes where, in each of the seven rounds.
constexpr std::array<schedule, 7> schedules = [] {
  constexpr schedule permutation{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
  std::array<schedule, 7> out{};
  for (std::size_t i = 0; i < 16; ++i)
    out[0][i] = static_cast<std::uint8_t>(i);
  for (std::size_t round = 1; round < out.size(); ++round)
    for (std::size_t i = 0; i < 16; ++i)
      out[round][i] = out[round - 1][permutation[i]];
  return out;
}();

[[gnu::always_inline]] inline void mix(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c,
                                       std::uint32_t& d, std::uint32_t x,
                                       std::uint32_t y) noexcept {
  a += b + x;
  d = std::rotr(d ^ a, 16);
  c += d;
  b = std::rotr(b ^ c, 12);
  a += b + y;
  d = std::rotr(d ^ a, 8);
  c += d;
  b = std::rotr(b ^ c, 7);
}

/// One round. Unrolled with its schedule as constants, so that the state stays in registers.
template <std::size_t Round>
[[gnu::always_inline]] inline void round(state& v, const state& m) noexcept {
  constexpr auto& s = schedules[Round];
  mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
  mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
  mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
  mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
  mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
  mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
  mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
  mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
}

digest compress(const output& o, std::uint32_t more_flags) noexcept {
  static_assert(std::endian::native == std::endian::little, "words are loaded as they lie");
  state m;
  std::memcpy(m.data(), o.block.data(), sizeof m);
  state v{o.cv[0], o.cv[1], o.cv[2], o.cv[3], o.cv[4], o.cv[5], o.cv[6], o.cv[7],
          iv[0],   iv[1],   iv[2],   iv[3],
          static_cast<std::uint32_t>(o.counter), static_cast<std::uint32_t>(o.counter >> 32),
          o.length, o.flags | more_flags};
  [&]<std::size_t... Rounds>(std::index_sequence<Rounds...>) {
    (round<Rounds>(v, m), ...);
  }(std::make_index_sequence<schedules.size()>{});
  words out;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = v[i] ^ v[i + 8];
  digest d;
  std::memcpy(d.data(), out.data(), d.size());
  return d;
}

digest cv_of(const output& o) noexcept {
  return compress(o, 0);
}

digest root_of(output o) noexcept {
  o.counter = 0;
  return compress(o, root);
}

output node_output(const std::uint8_t* node) noexcept {
  output o{.cv = iv, .length = BLAKE3_BLOCK_LEN, .flags = parent};
  std::memcpy(o.block.data(), node, node_bytes);
  return o;
}

// -- subtrees ---------------------------------------------------------------------------------

/// The subtree over `v`, which starts at chunk `first`. Runs of 2^k chunks go to the library,
/// which hashes many chunks at once and leaves the cvs of both halves on its stack (it merges them
/// only when more input comes); the rest is split as the tree is. What we rely on here is not the
/// library's interface: `self_test` watches over it.
output subtree(std::uint64_t first, byte_view v) noexcept {
  bool full = v.size() >= 2 * chunk_bytes && std::has_single_bit(v.size());
  if (!full && v.size() > chunk_bytes) {
    auto left_size = std::bit_floor((v.size() - 1) / chunk_bytes) * chunk_bytes;
    auto left = cv_of(subtree(first, v.first(left_size)));
    auto right = cv_of(subtree(first + left_size / chunk_bytes, v.subspan(left_size)));
    std::array<std::uint8_t, node_bytes> node;
    std::ranges::copy(left, node.begin());
    std::ranges::copy(right, node.begin() + left.size());
    return node_output(node.data());
  }
  blake3_hasher h;
  blake3_hasher_init(&h);
  h.chunk.chunk_counter = first;
  blake3_hasher_update(&h, v.data(), v.size());
  if (full)
    return node_output(h.cv_stack);
  output o{.length = h.chunk.buf_len,
           .counter = first,
           .flags = (h.chunk.blocks_compressed == 0 ? chunk_start : 0u) | chunk_end};
  std::memcpy(o.cv.data(), h.chunk.cv, sizeof o.cv);
  std::memcpy(o.block.data(), h.chunk.buf, h.chunk.buf_len);
  return o;
}

const blake3_hasher* state_of(const std::byte* p) noexcept {
  return std::launder(reinterpret_cast<const blake3_hasher*>(p));
}
blake3_hasher* state_of(std::byte* p) noexcept {
  return std::launder(reinterpret_cast<blake3_hasher*>(p));
}

} // namespace

// -- whole hashes -----------------------------------------------------------------------------

// NOLINTNEXTLINE: the state is 2 KB of which the library initialises what it reads
hasher::hasher() noexcept {
  blake3_hasher_init(new (state_.data()) blake3_hasher);
}

// NOLINTNEXTLINE
hasher::hasher(std::string_view derive_context) noexcept {
  blake3_hasher_init_derive_key_raw(new (state_.data()) blake3_hasher, derive_context.data(),
                                    derive_context.size());
}

hasher& hasher::update(byte_view v) noexcept {
  blake3_hasher_update(state_of(state_.data()), v.data(), v.size());
  return *this;
}

digest hasher::finish() const noexcept {
  digest out;
  blake3_hasher_finalize(state_of(state_.data()), out.data(), out.size());
  return out;
}

digest hash(byte_view v) noexcept {
  return hasher{}.update(v).finish();
}

cid cid_of(byte_view v) noexcept {
  return cid{hash(v)};
}

digest derive_key(std::string_view context, byte_view material) noexcept {
  return hasher{context}.update(material).finish();
}

tenant tenant_of(std::string_view first_part) noexcept {
  auto key = derive_key("ron 2026 tenant",
                        {reinterpret_cast<const std::uint8_t*>(first_part.data()),
                         first_part.size()});
  tenant out;
  std::copy_n(key.begin(), out.id.size(), out.id.begin());
  return out;
}

// -- the tree ---------------------------------------------------------------------------------

digest group_cv(std::uint64_t index, byte_view v) noexcept {
  return cv_of(subtree(index * chunks_per_group, v));
}

digest parent_cv(std::span<const std::uint8_t, node_bytes> node, bool is_root) noexcept {
  auto o = node_output(node.data());
  return is_root ? root_of(o) : cv_of(o);
}

void tree_builder::feed(byte_view v) {
  if (!buffer_.empty()) {
    auto n = std::min(v.size(), group_bytes - buffer_.size());
    buffer_.insert(buffer_.end(), v.begin(), v.begin() + static_cast<std::ptrdiff_t>(n));
    v = v.subspan(n);
    if (buffer_.size() == group_bytes) {
      add_group(buffer_);
      buffer_.clear();
    }
  }
  while (v.size() >= group_bytes) {
    add_group(v.first(group_bytes));
    v = v.subspan(group_bytes);
  }
  if (!v.empty()) {
    buffer_.reserve(group_bytes);
    buffer_.insert(buffer_.end(), v.begin(), v.end());
  }
}

void tree_builder::add_group(byte_view v) {
  auto top = subtree(groups_ * chunks_per_group, v);
  if (groups_ == 0)
    first_root_ = root_of(top);
  push(cv_of(top));
  size_ += v.size();
}

void tree_builder::append_node(const digest& left, const digest& right) {
  std::ranges::copy(left, last_.begin());
  std::ranges::copy(right, last_.begin() + left.size());
  nodes_.insert(nodes_.end(), last_.begin(), last_.end());
}

void tree_builder::push(const digest& cv) {
  auto merged = cv;
  // Every trailing one bit of the count is a full subtree as large as what we hold.
  for (auto n = groups_++; (n & 1) != 0; n >>= 1) {
    append_node(stack_.back(), merged);
    stack_.pop_back();
    merged = parent_cv(last_, false);
  }
  stack_.push_back(merged);
}

digest tree_builder::finish() {
  if (!buffer_.empty() || groups_ == 0) {
    add_group(buffer_);
    buffer_.clear();
  }
  if (groups_ == 1)
    return first_root_;
  while (stack_.size() > 1) {
    auto right = stack_.back();
    stack_.pop_back();
    append_node(stack_.back(), right);
    stack_.back() = parent_cv(last_, false);
  }
  return parent_cv(last_, true);
}

tree_path path_of(std::uint64_t group, std::uint64_t groups) noexcept {
  tree_path out;
  std::uint64_t start = 0; // the subtree we are in
  std::uint64_t length = groups;
  std::uint64_t edge = 0;  // steps to the right from the root
  while (length > 1) {
    auto index = std::has_single_bit(length)
                   ? start - static_cast<std::uint64_t>(std::popcount(start)) + length - 2
                   : groups - 2 - edge;
    auto left = std::bit_floor(length - 1);
    bool right = group - start >= left;
    out.steps[out.size++] = {index, right};
    start += right ? left : 0;
    length = right ? length - left : left;
    edge += right ? 1 : 0;
  }
  std::reverse(out.steps.begin(), out.steps.begin() + static_cast<std::ptrdiff_t>(out.size));
  return out;
}

bool verify_group(const digest& root_hash, std::uint64_t object_size, std::uint64_t group,
                  byte_view v, const node_reader& nodes) {
  auto groups = group_count(object_size);
  if (group >= groups || v.size() != group_size(object_size, group))
    return false;
  if (groups == 1)
    return hash(v) == root_hash;
  auto path = path_of(group, groups);
  auto cv = group_cv(group, v);
  for (std::size_t i = 0; i < path.size; ++i) {
    const auto* node = nodes(path.steps[i].index);
    if (node == nullptr)
      return false;
    if (std::memcmp(node + (path.steps[i].right ? cv.size() : 0), cv.data(), cv.size()) != 0)
      return false;
    cv = parent_cv(std::span<const std::uint8_t, node_bytes>{node, node_bytes}, i + 1 == path.size);
  }
  return cv == root_hash;
}

bool verify_group(const digest& root_hash, std::uint64_t object_size, std::uint64_t group,
                  byte_view v, const nodes_above& above) noexcept {
  const auto groups = group_count(object_size);
  if (group >= groups || v.size() != group_size(object_size, group))
    return false;
  if (groups == 1)
    return hash(v) == root_hash;
  const auto count = above.nodes.size() / node_bytes;
  if (count == 0 || count > above.path.size || (count < above.path.size && !above.top_verified))
    return false;
  auto cv = group_cv(group, v);
  for (std::size_t i = 0; i < count; ++i) {
    const auto node = above.nodes.subspan(i * node_bytes).first<node_bytes>();
    const auto side = above.path.steps[i].right ? cv.size() : 0;
    if (std::memcmp(node.data() + side, cv.data(), cv.size()) != 0)
      return false;
    if (i + 1 == count && above.top_verified)
      return true;
    cv = parent_cv(node, i + 1 == above.path.size);
  }
  return cv == root_hash;
}

// -- self test --------------------------------------------------------------------------------

namespace {

bool known_answer(byte_view v, std::string_view hex) noexcept {
  digest want;
  return from_hex(hex, want) && hash(v) == want;
}

} // namespace

bool self_test() noexcept {
  try {
    // The input and two hashes of the published test vectors.
    std::vector<std::uint8_t> input(102'400 * 2);
    for (std::size_t i = 0; i < input.size(); ++i)
      input[i] = static_cast<std::uint8_t>(i % 251);
    auto part = [&](std::size_t n) { return byte_view{input}.first(n); };
    if (!known_answer(part(0), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
        || !known_answer(part(102'400),
                         "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"))
      return false;
    // One group, full groups, and last groups that end in every kind of place.
    for (std::size_t n :
         {0, 1, 1'024, 65'536, 65'537, 131'072, 133'121, 150'000, 196'608, 204'000}) {
      tree_builder tree;
      tree.feed(part(n));
      if (tree.finish() != hash(part(n)))
        return false;
    }
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

} // namespace ron::core::b3
