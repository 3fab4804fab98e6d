#include "core/packed_object.hpp"

#include "core/json.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <vector>

namespace ron::core {

namespace {

/// Major types of RFC 8949, section 3.1.
constexpr unsigned natural_major = 0;
constexpr unsigned binary_major = 2;
constexpr unsigned text_major = 3;
constexpr unsigned array_major = 4;
constexpr unsigned map_major = 5;
constexpr std::uint8_t false_byte = 0xf4;
constexpr std::uint8_t true_byte = 0xf5;

/// Takes a head in its shortest form off the front; false ends the scan.
bool take_head(byte_view& rest, unsigned& major, std::uint64_t& argument) noexcept {
  if (rest.empty())
    return false;
  major = rest[0] >> 5;
  const unsigned info = rest[0] & 31;
  rest = rest.subspan(1);
  argument = info;
  if (info < 24)
    return true;
  if (info > 27)
    return false;
  const auto width = std::size_t{1} << (info - 24);
  if (rest.size() < width)
    return false;
  argument = 0;
  for (std::size_t i = 0; i < width; ++i)
    argument = argument << 8 | rest[i];
  rest = rest.subspan(width);
  return width == 1 ? argument >= 24 : argument >> (4 * width) != 0;
}

bool take_string(byte_view& rest, std::uint64_t size, byte_view& out) noexcept {
  if (size > rest.size())
    return false;
  out = rest.first(static_cast<std::size_t>(size));
  rest = rest.subspan(static_cast<std::size_t>(size));
  return true;
}

std::string_view text_of(byte_view v) noexcept {
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

} // namespace

/// One pass over the input.
class packed_object::reader {
public:
  explicit reader(byte_view all) noexcept : all_(all), rest_(all) {}

  bool begin(std::uint64_t& members) noexcept {
    unsigned major = 0;
    return take_head(rest_, major, members) && major == map_major;
  }
  bool read(extent& e) noexcept {
    unsigned major = 0;
    std::uint64_t size = 0;
    e.key_head = place();
    if (!take_head(rest_, major, size) || major != text_major)
      return false;
    e.key = place();
    if (!text(size))
      return false;
    e.value_head = place();
    const bool good = read_value(e);
    e.end = place();
    return good;
  }
  bool at_end() const noexcept { return rest_.empty(); }

private:
  std::uint32_t place() const noexcept {
    return static_cast<std::uint32_t>(all_.size() - rest_.size());
  }
  bool text(std::uint64_t size) noexcept {
    byte_view out;
    return take_string(rest_, size, out) && valid_utf8(text_of(out));
  }
  bool read_value(extent& e) noexcept {
    if (++values_ > limits::json_values_max || rest_.empty())
      return false;
    if (rest_[0] == false_byte || rest_[0] == true_byte) {
      e.is = type::boolean;
      e.number = rest_[0] == true_byte;
      rest_ = rest_.subspan(1);
      return true;
    }
    unsigned major = 0;
    byte_view out;
    if (!take_head(rest_, major, e.number))
      return false;
    e.content = place();
    switch (major) {
      case natural_major: e.is = type::natural; return true;
      case binary_major: e.is = type::binary; return take_string(rest_, e.number, out);
      case text_major: e.is = type::text; return text(e.number);
      case array_major: e.is = type::texts; return read_texts(e.number);
      default: return false;
    }
  }
  bool read_texts(std::uint64_t n) noexcept {
    for (; n > 0; --n) {
      unsigned major = 0;
      std::uint64_t size = 0;
      if (++values_ > limits::json_values_max || !take_head(rest_, major, size)
          || major != text_major || !text(size))
        return false;
    }
    return true;
  }

  byte_view all_;
  byte_view rest_;
  std::size_t values_ = 1; ///< the map is one
};

std::optional<packed_object> packed_object::scan(bytes cbor) {
  if (cbor.size() > limits::json_body_bytes_max)
    return std::nullopt;
  reader in{cbor.view()};
  std::uint64_t n = 0;
  if (!in.begin(n) || n > members_max)
    return std::nullopt;
  std::optional<packed_object> out{packed_object{}};
  out->input_ = std::move(cbor);
  for (; out->size_ < n; ++out->size_)
    if (!in.read(out->members_[out->size_]) || out->has(out->key(out->size_)))
      return std::nullopt;
  if (!in.at_end())
    return std::nullopt;
  return out;
}

packed_object::member packed_object::operator[](std::size_t i) const noexcept {
  const auto& e = members_[i];
  const auto all = input_.view();
  auto part = [all](std::uint32_t from, std::uint32_t to) { return all.subspan(from, to - from); };
  member m;
  m.key = key(i);
  m.is = e.is;
  m.number = e.number;
  m.key_coded = part(e.key_head, e.value_head);
  m.coded = part(e.value_head, e.end);
  if (e.is != type::natural && e.is != type::boolean)
    m.content = part(e.content, e.end);
  return m;
}

std::size_t packed_object::place_of(std::string_view k) const noexcept {
  std::size_t i = 0;
  while (i < size_ && key(i) != k)
    ++i;
  return i;
}

std::optional<packed_object::member> packed_object::find(std::string_view key,
                                                         type is) const noexcept {
  const auto i = place_of(key);
  if (i == size_ || members_[i].is != is)
    return std::nullopt;
  return (*this)[i];
}

std::string_view packed_object::take_text(byte_view& rest) noexcept {
  unsigned major = 0;
  std::uint64_t size = 0;
  byte_view item;
  // It was looked at by the scan.
  (void)take_head(rest, major, size);
  (void)take_string(rest, size, item);
  return text_of(item);
}

json packed_object::to_tree() const {
  auto out = json::object();
  for (std::size_t i = 0; i < size_; ++i) {
    const auto m = (*this)[i];
    auto& v = out[std::string{m.key}];
    switch (m.is) {
      case type::text: v = std::string{m.text()}; break;
      case type::binary:
        v = json::binary(std::vector<std::uint8_t>(m.content.begin(), m.content.end()));
        break;
      case type::natural: v = m.number; break;
      case type::boolean: v = m.number != 0; break;
      case type::texts:
        v = json::array();
        m.each_text([&v](std::string_view s) {
          v.push_back(std::string{s});
          return true;
        });
        break;
    }
  }
  return out;
}

std::string packed_object::canonical() const {
  std::array<member, members_max> sorted{};
  for (std::size_t i = 0; i < size_; ++i)
    sorted[i] = (*this)[i];
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(size_);
  std::sort(sorted.begin(), end, [](const member& a, const member& b) {
    return std::ranges::lexicographical_compare(a.key_coded, b.key_coded);
  });
  std::string out;
  append_cbor_head(out, map_major, size_);
  for (auto m = sorted.begin(); m != end; ++m)
    out.append(text_of(m->key_coded)).append(text_of(m->coded));
  return out;
}

} // namespace ron::core
