#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/ids.hpp"
#include "core/json_fwd.hpp"
#include "core/packed_object.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ron::core {

/// Reads the fields of a request object by name and type, then refuses what was not asked for.
///
///     object_reader in{args};
///     auto topic = in.text("topic", {.max_bytes = 255});
///     auto max = in.optional_uint("max", 1, 100).value_or(10);
///     if (auto ok = in.finish(); !ok)
///       return std::unexpected{ok.error()};
///
/// A reader never throws and never clamps: after a problem an accessor returns an empty value and
/// `finish` reports every problem at once as one `bad_request`. `null` is not the same as a
/// missing field. One thread; `object` outlives the reader.
class object_reader {
public:
  struct text_rule {
    std::size_t min_bytes = 1;
    std::size_t max_bytes = 1'024;
  };

  /// `what` starts the message about a value that is no object, e.g. "request".
  explicit object_reader(const json& object, std::string_view what = "request");
  /// Reads the members where they lie. A tree is made only when something is wrong, or when a
  /// field is asked for that has no other form.
  explicit object_reader(const packed_object& object);

  /// True if the field is there, whatever its type. Does not count as asking for it.
  bool has(std::string_view name) const;

  std::string text(std::string_view name, text_rule rule);
  std::string text(std::string_view name) { return text(name, text_rule{}); }
  std::optional<std::string> optional_text(std::string_view name, text_rule rule);
  std::optional<std::string> optional_text(std::string_view name) {
    return optional_text(name, text_rule{});
  }

  /// An integer of `lo`..`hi`, both included.
  std::uint64_t uint(std::string_view name, std::uint64_t lo, std::uint64_t hi);
  std::optional<std::uint64_t> optional_uint(std::string_view name, std::uint64_t lo,
                                             std::uint64_t hi);
  std::int64_t sint(std::string_view name, std::int64_t lo, std::int64_t hi);
  std::optional<std::int64_t> optional_sint(std::string_view name, std::int64_t lo,
                                            std::int64_t hi);

  bool boolean(std::string_view name);
  std::optional<bool> optional_boolean(std::string_view name);

  /// A CBOR byte string or base64 text.
  bytes binary(std::string_view name, std::size_t max_bytes);
  std::optional<bytes> optional_binary(std::string_view name, std::size_t max_bytes);

  /// `b3:<64 lower-case hex>`.
  core::cid cid(std::string_view name);
  std::optional<core::cid> optional_cid(std::string_view name);

  /// Up to `max_items` texts that each keep `rule`.
  std::vector<std::string> texts(std::string_view name, std::size_t max_items, text_rule rule);
  std::optional<std::vector<std::string>> optional_texts(std::string_view name,
                                                         std::size_t max_items, text_rule rule);

  /// Reads a list of 1..`max_items` objects: calls `read` for each with a reader of it, which is
  /// finished here and whose problems are told with their place, e.g. `messages[3].ttl_s`. Stops
  /// when there are more problems than `finish` puts in words.
  void objects(std::string_view name, std::size_t max_items,
               const std::function<void(object_reader&, std::size_t)>& read);

  /// The field itself, for a nested reader; null if it is missing or of another type.
  const json* object(std::string_view name);
  const json* optional_object(std::string_view name);
  const json* array(std::string_view name, std::size_t max_items);
  const json* optional_array(std::string_view name, std::size_t max_items);
  /// The field whatever it is; null if it is missing.
  const json* any(std::string_view name);

  /// All of the object as deterministic CBOR; "" if it is no object.
  std::string canonical() const;

  /// Adds a problem of the caller's own about `name`, in the same list.
  void refuse(std::string_view name, std::string_view why);

  /// True while nothing was wrong; unknown fields are only noticed by `finish`.
  bool good() const noexcept { return problems_.empty(); }

  /// Refuses unknown fields and reports all problems (at most eight in words).
  result<void> finish();

private:
  object_reader() = default;
  void read_item(const packed_object& object, std::size_t index);
  void read_item(const json& object, std::size_t index);
  void begin_item(std::size_t index);
  std::string name_of(std::string_view field) const;
  void note_unknown();
  void asks_for(std::string_view name);
  std::optional<packed_object::member> packed(std::string_view name, packed_object::type is);
  bool is_absent(std::string_view name);
  void make_tree();
  bool has_unknown() const;
  const json* find(std::string_view name, bool required);
  bool mismatch(std::string_view name, const json& v, std::string_view expected);
  std::optional<std::string> read_text(std::string_view name, const json* v, text_rule rule);
  std::optional<std::uint64_t> optional_natural(std::string_view name, std::uint64_t lo,
                                                std::uint64_t hi, bool required);
  std::optional<std::uint64_t> read_uint(std::string_view name, const json* v, std::uint64_t lo,
                                         std::uint64_t hi);
  std::optional<std::int64_t> read_sint(std::string_view name, const json* v, std::int64_t lo,
                                        std::int64_t hi);
  std::optional<bool> read_boolean(std::string_view name, const json* v);
  std::optional<bytes> read_binary(std::string_view name, const json* v, std::size_t max_bytes);
  std::optional<core::cid> read_cid(std::string_view name, const json* v);
  std::optional<std::vector<std::string>> read_texts(std::string_view name, const json* v,
                                                     std::size_t max_items, text_rule rule);
  const json* read_object(std::string_view name, const json* v);
  const json* read_array(std::string_view name, const json* v, std::size_t max_items);

  std::string_view list_;                 ///< whose item this is; empty = it is none
  std::size_t index_ = 0;                 ///< which
  const packed_object* packed_ = nullptr; ///< what is read while there is no tree of it
  std::shared_ptr<const json> tree_;      ///< of `packed_`, once it is needed
  const json* object_ = nullptr;          ///< null if the value is no object
  std::vector<std::string_view> asked_; ///< names are literals
  std::vector<std::string> problems_;
};

} // namespace ron::core
