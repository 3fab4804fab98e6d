#include "core/base64.hpp"
#include "core/json.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <vector>

namespace ron::core {

namespace {

/// Major types of RFC 8949, section 3.1.
enum major_type : unsigned {
  natural = 0,
  negative = 1,
  byte_string = 2,
  text_string = 3,
  array = 4,
  map = 5,
  tag = 6,
  simple = 7,
};

struct head {
  unsigned major = 0;
  unsigned info = 0;          ///< additional information
  std::uint64_t argument = 0; ///< undefined if `indefinite`
  bool indefinite = false;
};

constexpr std::uint8_t break_byte = 0xff;

double from_half(std::uint16_t h) noexcept {
  int exponent = h >> 10 & 31;
  int mantissa = h & 1023;
  double v = 0;
  if (exponent == 0)
    v = std::ldexp(mantissa, -24);
  else if (exponent != 31)
    v = std::ldexp(mantissa + 1024, exponent - 25);
  else
    v = mantissa == 0 ? HUGE_VAL : std::nan("");
  return (h & 0x8000) != 0 ? -v : v;
}

/// One pass over the input. The first problem is remembered and ends it.
class cbor_reader {
public:
  cbor_reader(byte_view data, const json_limits& lim) noexcept : data_(data), lim_(lim) {
    // nop
  }

  result<json> run() {
    json out;
    if (!item(out, 0))
      return fail(ec::bad_request, why_ + " near byte " + std::to_string(pos_));
    if (pos_ != data_.size())
      return fail(ec::bad_request, "trailing bytes after the CBOR item");
    return out;
  }

private:
  bool refuse(std::string why) {
    why_ = std::move(why);
    return false;
  }

  std::size_t left() const noexcept { return data_.size() - pos_; }

  /// True, and moves on, if the next byte ends an indefinite item.
  bool at_break() noexcept {
    if (left() == 0 || data_[pos_] != break_byte)
      return false;
    ++pos_;
    return true;
  }

  bool read_head(head& h) {
    if (left() == 0)
      return refuse("truncated CBOR");
    unsigned initial = data_[pos_++];
    h = {.major = initial >> 5, .info = initial & 31};
    if (h.info < 24) {
      h.argument = h.info;
      return true;
    }
    if (h.info == 31) {
      h.indefinite = true;
      return h.major >= byte_string && h.major <= map ? true : refuse("malformed CBOR");
    }
    if (h.info > 27)
      return refuse("malformed CBOR");
    auto width = std::size_t{1} << (h.info - 24);
    if (left() < width)
      return refuse("truncated CBOR");
    for (std::size_t i = 0; i < width; ++i)
      h.argument = h.argument << 8 | data_[pos_++];
    return true;
  }

  bool item(json& out, std::size_t depth) {
    if (++values_ > lim_.values_max)
      return refuse("more than " + std::to_string(lim_.values_max) + " values");
    head h;
    if (!read_head(h))
      return false;
    switch (h.major) {
      case natural: out = h.argument; return true;
      case negative: return read_negative(out, h.argument);
      case byte_string: return read_binary(out, h);
      case text_string: {
        out = std::string{};
        return read_text(out.get_ref<std::string&>(), h);
      }
      case array: return read_array(out, h, depth);
      case map: return read_map(out, h, depth);
      case tag: return refuse("CBOR tags are not allowed");
      default: return read_simple(out, h);
    }
  }

  bool read_negative(json& out, std::uint64_t argument) {
    if (argument > static_cast<std::uint64_t>(INT64_MAX))
      return refuse("integer below 64 bits");
    out = -1 - static_cast<std::int64_t>(argument);
    return true;
  }

  bool read_simple(json& out, const head& h) {
    double v = 0;
    switch (h.info) {
      case 20: out = false; return true;
      case 21: out = true; return true;
      case 22: out = nullptr; return true;
      case 25: v = from_half(static_cast<std::uint16_t>(h.argument)); break;
      case 26: v = std::bit_cast<float>(static_cast<std::uint32_t>(h.argument)); break;
      case 27: v = std::bit_cast<double>(h.argument); break;
      default: return refuse("CBOR simple value is not allowed");
    }
    if (!std::isfinite(v))
      return refuse("number is not finite");
    out = v;
    return true;
  }

  /// Hands the pieces of a string to `append`: one, or the chunks of an indefinite one.
  template <class F>
  bool pieces(const head& h, F append) {
    if (!h.indefinite)
      return piece(h.argument, append);
    while (!at_break()) {
      head chunk;
      if (!read_head(chunk))
        return false;
      if (chunk.major != h.major || chunk.indefinite)
        return refuse("malformed CBOR");
      if (!piece(chunk.argument, append))
        return false;
    }
    return true;
  }

  template <class F>
  bool piece(std::uint64_t size, F& append) {
    if (size > left())
      return refuse("truncated CBOR");
    auto part = data_.subspan(pos_, static_cast<std::size_t>(size));
    if (!append(part))
      return refuse("text is not UTF-8");
    pos_ += part.size();
    return true;
  }

  bool read_binary(json& out, const head& h) {
    out = json::binary({});
    auto& to = out.get_binary();
    return pieces(h, [&to](byte_view v) {
      to.insert(to.end(), v.begin(), v.end());
      return true;
    });
  }

  bool read_text(std::string& to, const head& h) {
    return pieces(h, [&to](byte_view v) {
      std::string_view s{reinterpret_cast<const char*>(v.data()), v.size()};
      to += s;
      return valid_utf8(s); // each chunk is valid by itself (RFC 8949, 3.2.3)
    });
  }

  bool read_array(json& out, const head& h, std::size_t depth) {
    if (depth >= lim_.depth_max)
      return refuse("nested deeper than " + std::to_string(lim_.depth_max));
    out = json::array();
    auto& list = out.get_ref<json::array_t&>();
    for (std::uint64_t i = 0; h.indefinite ? !at_break() : i < h.argument; ++i)
      if (!item(list.emplace_back(), depth + 1))
        return false;
    return true;
  }

  bool read_map(json& out, const head& h, std::size_t depth) {
    if (depth >= lim_.depth_max)
      return refuse("nested deeper than " + std::to_string(lim_.depth_max));
    out = json::object();
    auto& members = out.get_ref<json::object_t&>();
    for (std::uint64_t i = 0; h.indefinite ? !at_break() : i < h.argument; ++i) {
      head k;
      std::string key;
      if (!read_head(k))
        return false;
      if (k.major != text_string)
        return refuse("a key is not text");
      if (!read_text(key, k))
        return false;
      auto [slot, fresh] = members.try_emplace(std::move(key));
      if (!fresh)
        return refuse("duplicate key \"" + std::string{clip_utf8(slot->first, 64)} + '"');
      if (!item(slot->second, depth + 1))
        return false;
    }
    return true;
  }

  byte_view data_;
  const json_limits& lim_;
  std::size_t pos_ = 0;
  std::size_t values_ = 0;
  std::string why_;
};

void append_big_endian(std::string& out, std::uint64_t v, std::size_t width) {
  for (auto i = width; i-- > 0;)
    out += static_cast<char>(v >> 8 * i);
}

/// The half-precision form of `v` if it is exact.
std::optional<std::uint16_t> to_half(double v) noexcept {
  auto sign = static_cast<std::uint16_t>(std::signbit(v) ? 0x8000 : 0);
  auto a = std::fabs(v);
  if (a == 0)
    return sign;
  int exponent = 0;
  auto fraction = std::frexp(a, &exponent); // a = fraction * 2^exponent, 0.5 <= fraction < 1
  bool subnormal = exponent < -13;
  auto scaled = subnormal ? std::ldexp(a, 24) : std::ldexp(fraction, 11);
  if (exponent > 16 || scaled != std::floor(scaled))
    return std::nullopt;
  auto mantissa = static_cast<unsigned>(scaled);
  auto bits = subnormal ? mantissa
                        : static_cast<unsigned>(exponent + 14) << 10 | (mantissa & 1023);
  return static_cast<std::uint16_t>(sign | bits);
}

void append_float(std::string& out, double v) {
  auto single = static_cast<float>(v);
  if (std::isnan(v)) {
    out += "\xf9\x7e";
    out += '\0';
  } else if (std::isinf(v)) {
    out += v > 0 ? "\xf9\x7c" : "\xf9\xfc";
    out += '\0';
  } else if (auto half = to_half(v)) {
    out += '\xf9';
    append_big_endian(out, *half, 2);
  } else if (static_cast<double>(single) == v) {
    out += '\xfa';
    append_big_endian(out, std::bit_cast<std::uint32_t>(single), 4);
  } else {
    out += '\xfb';
    append_big_endian(out, std::bit_cast<std::uint64_t>(v), 8);
  }
}

void append_text(std::string& out, std::string_view s) {
  if (!valid_utf8(s))
    return append_text(out, repair_utf8(s));
  append_cbor_head(out, text_string, s.size());
  out += s;
}

void append_item(std::string& out, const json& value);

void append_map(std::string& out, const json::object_t& members) {
  std::vector<const json::object_t::value_type*> order;
  order.reserve(members.size());
  for (const auto& m : members)
    order.push_back(&m);
  // Encoded keys compare by their length first, then by their bytes.
  std::ranges::stable_sort(order, {}, [](const auto* m) { return m->first.size(); });
  append_cbor_head(out, map, members.size());
  for (const auto* m : order) {
    append_text(out, m->first);
    append_item(out, m->second);
  }
}

void append_item(std::string& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object: append_map(out, value.get_ref<const json::object_t&>()); break;
    case json::value_t::array:
      append_cbor_head(out, array, value.size());
      for (const auto& v : value.get_ref<const json::array_t&>())
        append_item(out, v);
      break;
    case json::value_t::string: append_text(out, value.get_ref<const std::string&>()); break;
    case json::value_t::boolean: out += value.get<bool>() ? '\xf5' : '\xf4'; break;
    case json::value_t::number_integer:
      if (auto v = value.get<std::int64_t>(); v < 0)
        append_cbor_head(out, negative, static_cast<std::uint64_t>(-1 - v));
      else
        append_cbor_head(out, natural, static_cast<std::uint64_t>(v));
      break;
    case json::value_t::number_unsigned:
      append_cbor_head(out, natural, value.get<std::uint64_t>());
      break;
    case json::value_t::number_float: append_float(out, value.get<double>()); break;
    case json::value_t::binary: {
      const auto& v = value.get_binary();
      append_cbor_head(out, byte_string, v.size());
      out.append(reinterpret_cast<const char*>(v.data()), v.size());
      break;
    }
    case json::value_t::null:
    case json::value_t::discarded: out += '\xf6'; break;
  }
}

} // namespace

result<json> parse_cbor(byte_view data, const json_limits& lim) {
  if (data.size() > lim.bytes_max)
    return fail(ec::body_cap,
                "CBOR item is longer than " + std::to_string(lim.bytes_max) + " bytes");
  return cbor_reader{data, lim}.run();
}

bytes dump_cbor(const json& value) {
  std::string out;
  append_item(out, value);
  return bytes::copy(out);
}

void append_cbor_head(std::string& out, unsigned major, std::uint64_t argument) {
  auto initial = [major](unsigned info) { return static_cast<char>(major << 5 | info); };
  if (argument < 24) {
    out += initial(static_cast<unsigned>(argument));
    return;
  }
  unsigned log_width
    = argument <= 0xff ? 0 : argument <= 0xffff ? 1 : argument <= 0xffffffff ? 2 : 3;
  out += initial(24 + log_width);
  append_big_endian(out, argument, std::size_t{1} << log_width);
}

} // namespace ron::core
