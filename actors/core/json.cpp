#include "core/json.hpp"

#include "core/base64.hpp"
#include "core/json_writer.hpp"
#include "core/utf8.hpp"

#include <cmath>
#include <vector>

namespace ron::core {

namespace {

/// Builds a value from parser events and refuses what goes beyond the limits.
class dom_builder final : public nlohmann::json_sax<json> {
public:
  explicit dom_builder(const json_limits& lim) : lim_(lim) {
    // nop
  }

  bool null() override { return add(nullptr) != nullptr; }
  bool boolean(bool v) override { return add(v) != nullptr; }
  bool number_integer(number_integer_t v) override { return add(v) != nullptr; }
  bool number_unsigned(number_unsigned_t v) override { return add(v) != nullptr; }
  bool number_float(number_float_t v, const string_t&) override { return add(v) != nullptr; }
  bool string(string_t& v) override { return add(std::move(v)) != nullptr; }
  bool binary(binary_t&) override { return refuse("unexpected byte string"); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& v) override {
    auto [i, fresh] = stack_.back()->get_ref<json::object_t&>().try_emplace(v);
    if (!fresh)
      return refuse("duplicate key \"" + std::string{clip_utf8(v, 64)} + '"');
    slot_ = &i->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& ex) override {
    // 406: a number that does not fit; anything else is the grammar or the encoding.
    return refuse((ex.id == 406 ? "number out of range near byte " : "malformed JSON near byte ")
                  + std::to_string(position));
  }

  json take() { return std::move(root_); }
  const std::string& why() const noexcept { return why_; }

private:
  template <class T>
  json* add(T&& v) {
    if (++values_ > lim_.values_max) {
      refuse("more than " + std::to_string(lim_.values_max) + " values");
      return nullptr;
    }
    if (stack_.empty()) {
      root_ = std::forward<T>(v);
      return &root_;
    }
    if (stack_.back()->is_object()) {
      *slot_ = std::forward<T>(v);
      return slot_;
    }
    auto& list = stack_.back()->get_ref<json::array_t&>();
    return &list.emplace_back(std::forward<T>(v));
  }

  bool open(json container) {
    if (stack_.size() >= lim_.depth_max)
      return refuse("nested deeper than " + std::to_string(lim_.depth_max));
    auto* p = add(std::move(container));
    if (p == nullptr)
      return false;
    stack_.push_back(p);
    return true;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  bool refuse(std::string why) {
    if (why_.empty())
      why_ = std::move(why);
    return false;
  }

  const json_limits& lim_;
  json root_;
  /// Containers being filled. An outer one does not grow while an inner one is open, so the
  /// pointers stay good.
  std::vector<json*> stack_;
  json* slot_ = nullptr; ///< where the value of the last key goes
  std::size_t values_ = 0;
  std::string why_;
};

void append_json(json_writer& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object:
      out.begin_object();
      for (const auto& [k, v] : value.get_ref<const json::object_t&>()) {
        out.key(k);
        append_json(out, v);
      }
      out.end_object();
      break;
    case json::value_t::array:
      out.begin_array();
      for (const auto& v : value.get_ref<const json::array_t&>())
        append_json(out, v);
      out.end_array();
      break;
    case json::value_t::string: out.value(value.get_ref<const std::string&>()); break;
    case json::value_t::boolean: out.value(value.get<bool>()); break;
    case json::value_t::number_integer: out.value(value.get<std::int64_t>()); break;
    case json::value_t::number_unsigned: out.value(value.get<std::uint64_t>()); break;
    case json::value_t::number_float: out.value(value.get<double>()); break;
    case json::value_t::binary: out.value(byte_view{value.get_binary()}); break;
    case json::value_t::null:
    case json::value_t::discarded: out.null(); break;
  }
}

} // namespace

result<json> parse_json(std::string_view text, const json_limits& lim) {
  if (text.size() > lim.bytes_max)
    return fail(ec::body_cap,
                "JSON text is longer than " + std::to_string(lim.bytes_max) + " bytes");
  // The library skips a byte order mark and takes a NUL for the end of the text.
  if (text.starts_with("\xef\xbb\xbf"))
    return fail(ec::bad_request, "JSON text starts with a byte order mark");
  if (auto nul = text.find('\0'); nul != text.npos)
    return fail(ec::bad_request, "malformed JSON near byte " + std::to_string(nul + 1));
  dom_builder builder{lim};
  if (!json::sax_parse(text.begin(), text.end(), &builder))
    return fail(ec::bad_request, builder.why().empty() ? "malformed JSON" : builder.why());
  return builder.take();
}

result<json> parse_json(byte_view text, const json_limits& lim) {
  return parse_json({reinterpret_cast<const char*>(text.data()), text.size()}, lim);
}

std::string dump_json(const json& value) {
  std::string out;
  json_writer writer{out};
  append_json(writer, value);
  return out;
}

} // namespace ron::core
