#include "core/object_reader.hpp"

#include "core/base64.hpp"
#include "core/json.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <iterator>

namespace ron::core {

namespace {

constexpr std::size_t problems_max = 8;
constexpr std::size_t shown_name_bytes = 64;

std::string in_quotes(std::string_view name) {
  std::string out = "\"";
  append_json_escaped(out, clip_utf8(name, shown_name_bytes));
  return out += '"';
}

std::string_view type_of(const json& v) noexcept {
  switch (v.type()) {
    case json::value_t::object: return "an object";
    case json::value_t::array: return "a list";
    case json::value_t::string: return "text";
    case json::value_t::boolean: return "a boolean";
    case json::value_t::binary: return "a byte string";
    case json::value_t::number_float: return "a number with a fraction";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned: return "an integer";
    default: return "null";
  }
}

template <class T>
std::string range_text(T lo, T hi) {
  return std::to_string(lo) + ".." + std::to_string(hi);
}

} // namespace

object_reader::object_reader(const json& object, std::string_view what) {
  if (object.is_object())
    object_ = &object;
  else
    problems_.push_back(std::string{what} + " is " + std::string{type_of(object)}
                        + "; expected an object");
}

object_reader::object_reader(const packed_object& object) : packed_(&object) {
  asked_.reserve(8);
}

/// As it is told of: with its place if this is an item.
std::string object_reader::name_of(std::string_view field) const {
  if (list_.empty())
    return in_quotes(field);
  std::string out{list_};
  out.append(1, '[').append(std::to_string(index_)).append(field.empty() ? "]" : "].");
  return in_quotes(out.append(field));
}

void object_reader::begin_item(std::size_t index) {
  index_ = index;
  packed_ = nullptr;
  object_ = nullptr;
  tree_.reset();
  asked_.clear();
  problems_.clear();
}

void object_reader::read_item(const packed_object& object, std::size_t index) {
  begin_item(index);
  packed_ = &object;
}

void object_reader::read_item(const json& object, std::size_t index) {
  begin_item(index);
  if (object.is_object())
    object_ = &object;
  else
    refuse({}, "is " + std::string{type_of(object)} + "; expected an object");
}

void object_reader::make_tree() {
  tree_ = std::make_shared<const json>(packed_->to_tree());
  object_ = tree_.get();
  packed_ = nullptr;
}

/// The member if it is read where it lies and has this type.
std::optional<packed_object::member> object_reader::packed(std::string_view name,
                                                           packed_object::type is) {
  if (packed_ == nullptr)
    return std::nullopt;
  asks_for(name);
  return packed_->find(name, is);
}

void object_reader::asks_for(std::string_view name) {
  if (std::ranges::find(asked_, name) == asked_.end())
    asked_.push_back(name);
}

/// True if it is sure that a field which need not be there is not. It has been asked for.
bool object_reader::is_absent(std::string_view name) {
  if (packed_ == nullptr)
    return false;
  asks_for(name);
  return !packed_->has(name);
}

bool object_reader::has(std::string_view name) const {
  if (packed_ != nullptr)
    return packed_->has(name);
  return object_ != nullptr && object_->contains(name);
}

const json* object_reader::find(std::string_view name, bool required) {
  asks_for(name);
  if (packed_ != nullptr && packed_->has(name))
    make_tree();
  if (packed_ == nullptr && object_ == nullptr)
    return nullptr; // it is no object, and that was said
  if (object_ != nullptr)
    if (auto i = object_->find(name); i != object_->end())
      return &*i;
  if (required)
    problems_.push_back("missing field " + name_of(name));
  return nullptr;
}

bool object_reader::mismatch(std::string_view name, const json& v, std::string_view expected) {
  refuse(name, "is " + std::string{type_of(v)} + "; expected " + std::string{expected});
  return false;
}

void object_reader::refuse(std::string_view name, std::string_view why) {
  problems_.push_back("field " + name_of(name) + ' ' + std::string{why});
}

bool object_reader::has_unknown() const {
  for (std::size_t i = 0; i < packed_->size(); ++i)
    if (std::ranges::find(asked_, (*packed_)[i].key) == asked_.end())
      return true;
  return false;
}

std::string object_reader::canonical() const {
  if (packed_ != nullptr)
    return packed_->canonical();
  return object_ != nullptr ? std::string{dump_cbor(*object_).text()} : std::string{};
}

void object_reader::note_unknown() {
  if (packed_ != nullptr && has_unknown())
    make_tree(); // it has them in order
  if (object_ != nullptr)
    for (const auto& [name, value] : object_->get_ref<const json::object_t&>()) {
      if (std::ranges::find(asked_, name) != asked_.end())
        continue;
      std::string text = "unknown field " + name_of(name);
      for (std::size_t i = 0; i < asked_.size(); ++i)
        text.append(i == 0 ? "; expected " : ", ").append(asked_[i]);
      problems_.push_back(std::move(text));
    }
}

result<void> object_reader::finish() {
  note_unknown();
  if (problems_.empty())
    return {};
  std::string all;
  for (std::size_t i = 0; i < problems_.size() && i < problems_max; ++i)
    all.append(i == 0 ? "" : "; ").append(problems_[i]);
  if (problems_.size() > problems_max)
    all += "; and " + std::to_string(problems_.size() - problems_max) + " more";
  return fail(ec::bad_request, std::string{clip_utf8(all, limits::error_message_bytes_max)});
}

// -- one check per type --------------------------------------------------------------------------

std::optional<std::string> object_reader::read_text(std::string_view name, const json* v,
                                                    text_rule rule) {
  if (v == nullptr || (!v->is_string() && !mismatch(name, *v, "text")))
    return std::nullopt;
  const auto& s = v->get_ref<const std::string&>();
  if (s.size() < rule.min_bytes || s.size() > rule.max_bytes) {
    refuse(name, "has " + std::to_string(s.size()) + " bytes; expected "
                   + range_text(rule.min_bytes, rule.max_bytes));
    return std::nullopt;
  }
  return s;
}

std::optional<std::uint64_t> object_reader::read_uint(std::string_view name, const json* v,
                                                      std::uint64_t lo, std::uint64_t hi) {
  auto expected = [lo, hi] { return "an integer of " + range_text(lo, hi); };
  if (v == nullptr || (!v->is_number_integer() && !mismatch(name, *v, expected())))
    return std::nullopt;
  bool below_zero = !v->is_number_unsigned() && v->get<std::int64_t>() < 0;
  auto n = below_zero ? 0 : v->get<std::uint64_t>();
  if (below_zero || n < lo || n > hi) {
    refuse(name, "is out of range; expected " + expected());
    return std::nullopt;
  }
  return n;
}

std::optional<std::int64_t> object_reader::read_sint(std::string_view name, const json* v,
                                                     std::int64_t lo, std::int64_t hi) {
  auto expected = [lo, hi] { return "an integer of " + range_text(lo, hi); };
  if (v == nullptr || (!v->is_number_integer() && !mismatch(name, *v, expected())))
    return std::nullopt;
  bool too_big = v->is_number_unsigned()
                 && v->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  auto n = too_big ? 0 : v->get<std::int64_t>();
  if (too_big || n < lo || n > hi) {
    refuse(name, "is out of range; expected " + expected());
    return std::nullopt;
  }
  return n;
}

std::optional<bool> object_reader::read_boolean(std::string_view name, const json* v) {
  if (v == nullptr || (!v->is_boolean() && !mismatch(name, *v, "a boolean")))
    return std::nullopt;
  return v->get<bool>();
}

std::optional<bytes> object_reader::read_binary(std::string_view name, const json* v,
                                                std::size_t max_bytes) {
  if (v == nullptr)
    return std::nullopt;
  std::optional<bytes> out;
  if (v->is_binary()) {
    out = bytes::copy(byte_view{v->get_binary()});
  } else if (v->is_string()) {
    out = base64_decode(v->get_ref<const std::string&>());
    if (!out) {
      refuse(name, "is not base64");
      return std::nullopt;
    }
  } else {
    mismatch(name, *v, "base64 text or a byte string");
    return std::nullopt;
  }
  if (out->size() > max_bytes) {
    refuse(name, "has " + std::to_string(out->size()) + " bytes; expected at most "
                   + std::to_string(max_bytes));
    return std::nullopt;
  }
  return out;
}

std::optional<core::cid> object_reader::read_cid(std::string_view name, const json* v) {
  constexpr std::string_view expected = "b3:<64 lower-case hex>";
  if (v == nullptr || (!v->is_string() && !mismatch(name, *v, expected)))
    return std::nullopt;
  auto out = core::cid::parse(v->get_ref<const std::string&>());
  if (!out)
    refuse(name, "is no content id; expected " + std::string{expected});
  return out;
}

std::optional<std::vector<std::string>>
object_reader::read_texts(std::string_view name, const json* v, std::size_t max_items,
                          text_rule rule) {
  const auto* list = read_array(name, v, max_items);
  if (list == nullptr)
    return std::nullopt;
  std::vector<std::string> out;
  out.reserve(list->size());
  for (const auto& x : *list) {
    auto s = read_text(name, &x, rule);
    if (!s)
      return std::nullopt;
    out.push_back(std::move(*s));
  }
  return out;
}

const json* object_reader::read_object(std::string_view name, const json* v) {
  if (v == nullptr || (!v->is_object() && !mismatch(name, *v, "an object")))
    return nullptr;
  return v;
}

const json* object_reader::read_array(std::string_view name, const json* v,
                                      std::size_t max_items) {
  if (v == nullptr || (!v->is_array() && !mismatch(name, *v, "a list")))
    return nullptr;
  if (v->size() <= max_items)
    return v;
  refuse(name, "has " + std::to_string(v->size()) + " items; expected at most "
                 + std::to_string(max_items));
  return nullptr;
}

// -- required and optional -----------------------------------------------------------------------

namespace {

bool keeps(std::string_view s, object_reader::text_rule rule) noexcept {
  return s.size() >= rule.min_bytes && s.size() <= rule.max_bytes;
}

} // namespace

std::string object_reader::text(std::string_view name, text_rule rule) {
  if (const auto m = packed(name, packed_object::type::text); m && keeps(m->text(), rule))
    return std::string{m->text()};
  return read_text(name, find(name, true), rule).value_or(std::string{});
}

std::optional<std::string> object_reader::optional_text(std::string_view name, text_rule rule) {
  if (is_absent(name))
    return std::nullopt;
  if (const auto m = packed(name, packed_object::type::text); m && keeps(m->text(), rule))
    return std::string{m->text()};
  return read_text(name, find(name, false), rule);
}

std::uint64_t object_reader::uint(std::string_view name, std::uint64_t lo, std::uint64_t hi) {
  return optional_natural(name, lo, hi, true).value_or(lo);
}

std::optional<std::uint64_t> object_reader::optional_uint(std::string_view name, std::uint64_t lo,
                                                          std::uint64_t hi) {
  return optional_natural(name, lo, hi, false);
}

std::optional<std::uint64_t> object_reader::optional_natural(std::string_view name,
                                                             std::uint64_t lo, std::uint64_t hi,
                                                             bool required) {
  if (!required && is_absent(name))
    return std::nullopt;
  if (const auto m = packed(name, packed_object::type::natural);
      m && m->number >= lo && m->number <= hi)
    return m->number;
  return read_uint(name, find(name, required), lo, hi);
}

std::int64_t object_reader::sint(std::string_view name, std::int64_t lo, std::int64_t hi) {
  return read_sint(name, find(name, true), lo, hi).value_or(lo);
}

std::optional<std::int64_t> object_reader::optional_sint(std::string_view name, std::int64_t lo,
                                                         std::int64_t hi) {
  return read_sint(name, find(name, false), lo, hi);
}

bool object_reader::boolean(std::string_view name) {
  return read_boolean(name, find(name, true)).value_or(false);
}

std::optional<bool> object_reader::optional_boolean(std::string_view name) {
  return read_boolean(name, find(name, false));
}

bytes object_reader::binary(std::string_view name, std::size_t max_bytes) {
  if (const auto m = packed(name, packed_object::type::binary);
      m && m->content.size() <= max_bytes)
    return bytes::copy(m->content); // a slice would keep all that was read with it
  return read_binary(name, find(name, true), max_bytes).value_or(bytes{});
}

std::optional<bytes> object_reader::optional_binary(std::string_view name,
                                                    std::size_t max_bytes) {
  return read_binary(name, find(name, false), max_bytes);
}

core::cid object_reader::cid(std::string_view name) {
  return read_cid(name, find(name, true)).value_or(core::cid{});
}

std::optional<core::cid> object_reader::optional_cid(std::string_view name) {
  return read_cid(name, find(name, false));
}

std::vector<std::string> object_reader::texts(std::string_view name, std::size_t max_items,
                                              text_rule rule) {
  if (const auto m = packed(name, packed_object::type::texts); m && m->number <= max_items) {
    std::vector<std::string> out;
    out.reserve(static_cast<std::size_t>(m->number));
    m->each_text([&](std::string_view s) {
      return keeps(s, rule) && (out.emplace_back(s), true);
    });
    if (out.size() == m->number)
      return out;
  }
  return read_texts(name, find(name, true), max_items, rule)
    .value_or(std::vector<std::string>{});
}

std::optional<std::vector<std::string>>
object_reader::optional_texts(std::string_view name, std::size_t max_items, text_rule rule) {
  return read_texts(name, find(name, false), max_items, rule);
}

void object_reader::objects(std::string_view name, std::size_t max_items,
                            const std::function<void(object_reader&, std::size_t)>& read) {
  object_reader item;
  item.list_ = name;
  std::size_t i = 0;
  auto take = [&](const auto& object) {
    item.read_item(object, i);
    if (item.good())
      read(item, i);
    ++i;
    item.note_unknown();
    std::ranges::move(item.problems_, std::back_inserter(problems_));
    return problems_.size() <= problems_max;
  };
  if (const auto m = packed(name, packed_object::type::objects); m && m->number <= max_items)
    return packed_->each_object(*m, take);
  const auto* list = read_array(name, find(name, true), max_items);
  if (list == nullptr)
    return;
  if (list->empty())
    refuse(name, "is empty; expected 1.." + std::to_string(max_items) + " items");
  for (const auto& object : *list)
    if (!take(object))
      return;
}

const json* object_reader::object(std::string_view name) {
  return read_object(name, find(name, true));
}

const json* object_reader::optional_object(std::string_view name) {
  if (is_absent(name))
    return nullptr;
  return read_object(name, find(name, false));
}

const json* object_reader::array(std::string_view name, std::size_t max_items) {
  return read_array(name, find(name, true), max_items);
}

const json* object_reader::optional_array(std::string_view name, std::size_t max_items) {
  return read_array(name, find(name, false), max_items);
}

const json* object_reader::any(std::string_view name) {
  return find(name, false);
}

} // namespace ron::core
