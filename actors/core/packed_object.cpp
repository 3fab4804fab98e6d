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

/// One pass over the input, from an offset on.
class packed_object::reader {
public:
  enum class lists { of_objects_too, of_texts };

  reader(byte_view all, std::size_t from, lists may) noexcept
    : all_(all), rest_(all.subspan(from)), may_(may) {
    // nop
  }

  /// The map that comes next.
  bool read(packed_object& to) noexcept {
    to.size_ = 0;
    return read_map(to.members_, to.size_);
  }
  bool at_end() const noexcept { return rest_.empty(); }
  std::size_t place() const noexcept { return all_.size() - rest_.size(); }

private:
  using extents = std::array<extent, members_max>;

  std::uint32_t here() const noexcept { return static_cast<std::uint32_t>(place()); }
  bool text(std::uint64_t size) noexcept {
    byte_view out;
    return take_string(rest_, size, out) && valid_utf8(text_of(out));
  }
  bool read_map(extents& to, std::size_t& size) noexcept {
    unsigned major = 0;
    std::uint64_t n = 0;
    if (++values_ > limits::json_values_max || !take_head(rest_, major, n) || major != map_major
        || n > members_max)
      return false;
    for (size = 0; size < n; ++size)
      if (!read_member(to[size]) || is_double(to, size))
        return false;
    return true;
  }
  bool read_member(extent& e) noexcept {
    unsigned major = 0;
    std::uint64_t size = 0;
    e.key_head = here();
    if (!take_head(rest_, major, size) || major != text_major)
      return false;
    e.key = here();
    if (!text(size))
      return false;
    e.value_head = here();
    const bool good = read_value(e);
    e.end = here();
    return good;
  }
  /// True if a key before has the bytes of key `i`.
  bool is_double(const extents& all, std::size_t i) const noexcept {
    auto key = [this](const extent& e) {
      return text_of(all_.subspan(e.key, e.value_head - e.key));
    };
    for (std::size_t k = 0; k < i; ++k)
      if (key(all[k]) == key(all[i]))
        return true;
    return false;
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
    e.content = here();
    switch (major) {
      case natural_major: e.is = type::natural; return true;
      case binary_major: e.is = type::binary; return take_string(rest_, e.number, out);
      case text_major: e.is = type::text; return text(e.number);
      case array_major: return read_list(e);
      default: return false;
    }
  }
  bool read_list(extent& e) noexcept {
    const bool of_maps = e.number != 0 && !rest_.empty() && rest_[0] >> 5 == map_major;
    e.is = of_maps ? type::objects : type::texts;
    return of_maps ? read_objects(e.number) : read_texts(e.number);
  }
  bool read_objects(std::uint64_t n) noexcept {
    if (may_ == lists::of_texts)
      return false;
    may_ = lists::of_texts;
    std::size_t size = 0;
    for (; n > 0; --n)
      if (!read_map(inner_, size))
        return false;
    may_ = lists::of_objects_too;
    return true;
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
  lists may_;
  std::size_t values_ = 0;
  extents inner_; ///< of an object in a list: only looked at
};

std::optional<packed_object> packed_object::scan(bytes cbor) {
  if (cbor.size() > limits::json_body_bytes_max)
    return std::nullopt;
  reader in{cbor.view(), 0, reader::lists::of_objects_too};
  std::optional<packed_object> out{std::in_place};
  if (!in.read(*out) || !in.at_end())
    return std::nullopt;
  out->input_ = std::move(cbor);
  return out;
}

/// Takes the members of the map at `from`, which a scan has looked at; returns where it ends.
std::size_t packed_object::load(std::size_t from) noexcept {
  reader in{input_.view(), from, reader::lists::of_texts};
  (void)in.read(*this);
  return in.place();
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
      case type::objects:
        v = json::array();
        each_object(m, [&v](const packed_object& o) {
          v.push_back(o.to_tree());
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
  for (auto m = sorted.begin(); m != end; ++m) {
    out.append(text_of(m->key_coded));
    if (m->is != type::objects) {
      out.append(text_of(m->coded));
      continue;
    }
    append_cbor_head(out, array_major, m->number);
    each_object(*m, [&out](const packed_object& o) {
      out.append(o.canonical());
      return true;
    });
  }
  return out;
}

} // namespace ron::core
