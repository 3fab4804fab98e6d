#pragma once

#include "core/config_value.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

/// The schema: every key there is, once. The parser's checks, `--print-config`, the default
/// files in config/ and docs/CONFIG.md are all made from it. Pure, any thread.
namespace ron::core::config {

/// What becomes of another value of a key when SIGHUP or `POST /admin/reload` reads it.
enum class reload_effect : std::uint8_t {
  refused,    ///< the reload as a whole: the node would have to be another one
  next_start, ///< the reload says that it waits for the next start of the node
  at_once,    ///< the running node takes it over
};

/// One key, or one family of keys (`log.level.<component>`).
struct key_info {
  std::string_view name; ///< section.key; the part in `<>` of a family is free
  value_rule rule = {};
  std::string_view micro = {};  ///< default of a micronode as text; empty: computed, see `derived`
  std::string_view macro = "="; ///< default of a macronode; `=`: the same
  std::string_view derived = {}; ///< in words, how a default without text comes about
  reload_effect on_reload = reload_effect::refused;
  bool acts = true;             ///< false: accepted and checked, but this version ignores it
  std::string_view help = {};   ///< one sentence
  std::string_view example = {}; ///< a valid value
  std::span<const std::string_view> members = {}; ///< of a family: the closed set, if it is one
  slot (*bind)(node_config&, const std::string& member) = nullptr;

  bool is_family() const noexcept { return name.find('<') != std::string_view::npos; }
  std::string_view section() const noexcept { return name.substr(0, name.find('.')); }
  std::string_view key() const noexcept { return name.substr(name.find('.') + 1); }
  /// The text of the default under `p`; empty if it is computed.
  std::string_view default_text(profile p) const noexcept {
    return p == profile::macronode && macro != "=" ? macro : micro;
  }
  /// The full name of a member of the family; the name itself otherwise.
  std::string full_name(std::string_view member) const;
};

/// A key that was named, with the member of the family it belongs to.
struct key_ref {
  const key_info* info = nullptr;
  std::string member;

  std::string full_name() const { return info->full_name(member); }
};

/// Another name of a key: of CAF, or of the requirement documents.
struct key_alias {
  std::string_view alias; ///< section.key, or the name of an environment variable
  std::string_view name;
};

/// A key of CAF that does nothing here, and what to use.
struct key_replacement {
  std::string_view prefix; ///< the key or, with a dot at its end, all keys of a section
  std::string_view use;
};

/// All keys in the order of the documentation; keys of a section are neighbours.
std::span<const key_info> schema();
std::span<const key_alias> file_aliases();
std::span<const key_alias> environment_aliases();
std::span<const key_replacement> replacements();

/// The key called `full_name` (`http.address`), aliases included.
std::optional<key_ref> find_key(std::string_view full_name);
/// The key set by the environment variable `name`, aliases included.
std::optional<key_ref> find_environment(std::string_view name);
/// What to use instead of CAF's key `full_name`; empty if it is none.
std::string_view replacement_of(std::string_view full_name);
/// The key that was most likely meant, in this or any other section; empty if none is near.
std::string suggest_key(std::string_view full_name);

/// `RON_HTTP_ADDRESS` for `http.address`.
std::string environment_name(std::string_view full_name);

// -- making the table ----------------------------------------------------------

/// Members of families, and of the sections, as slots.
inline slot slot_of(auto& field) {
  if constexpr (std::is_enum_v<std::remove_reference_t<decltype(field)>>)
    return choice_slot{reinterpret_cast<unsigned char*>(&field)};
  else
    return &field;
}

/// `at<&node_config::http, &http_section::address>` is the `bind` of `http.address`.
template <auto Section, auto Field>
slot at(node_config& c, const std::string&) {
  return slot_of((c.*Section).*Field);
}

/// The parts of the table, one file each; `schema()` is all of them.
std::span<const key_info> edge_keys();
std::span<const key_info> transport_keys();
std::span<const key_info> service_keys();
std::span<const key_info> store_keys();

} // namespace ron::core::config
