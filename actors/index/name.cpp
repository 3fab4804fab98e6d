#include "index/name.hpp"

#include <idn2.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include <cstdlib>
#include <memory>

namespace ron::index {

namespace {

using core::ec;
using core::fail;
using core::result;

std::unexpected<core::error> bad(std::string_view text, std::string_view why) {
  return fail(ec::bad_request, "name: " + std::string{why} + " (" + std::to_string(text.size())
                                 + " bytes)");
}

const std::uint8_t* u8(std::string_view s) {
  return reinterpret_cast<const std::uint8_t*>(s.data());
}

// A character nobody can see or that changes how its neighbours are read has no place in a name.
const char* refused(ucs4_t c) {
  if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cc))
    return "control characters are not allowed";
  if (uc_is_property(c, UC_PROPERTY_BIDI_CONTROL))
    return "bidirectional control characters are not allowed";
  if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cn | UC_CATEGORY_MASK_Cs))
    return "unassigned characters are not allowed";
  return nullptr;
}

result<void> check_characters(std::string_view text) {
  if (u8_check(u8(text), text.size()) != nullptr)
    return bad(text, "not valid UTF-8");
  for (std::size_t i = 0; i < text.size();) {
    ucs4_t c = 0;
    i += static_cast<std::size_t>(u8_mbtouc(&c, u8(text) + i, text.size() - i));
    if (auto* why = refused(c))
      return bad(text, why);
  }
  return {};
}

result<void> check_nfc(std::string_view text) {
  std::size_t n = 0;
  std::unique_ptr<std::uint8_t, void (*)(void*)> nfc{
    u8_normalize(UNINORM_NFC, u8(text), text.size(), nullptr, &n), std::free};
  if (!nfc || n != text.size() || u8_cmp(nfc.get(), u8(text), n) != 0)
    return bad(text, "not in Unicode normalization form C");
  return {};
}

result<void> check_segments(std::string_view path) {
  while (true) {
    auto slash = path.find('/');
    auto segment = path.substr(0, slash);
    if (segment.empty())
      return bad(path, "empty path segments are not allowed");
    if (segment == "." || segment == "..")
      return bad(path, "`.` and `..` are not allowed as path segments");
    if (slash == path.npos)
      return {};
    path.remove_prefix(slash + 1);
  }
}

// A first part of plain lower-case letters, digits and inner hyphens is its own A-label; asking
// libidn2 would find the same at fifty times the price.
bool is_plain_label(std::string_view first) {
  if (first.empty() || first.size() > 63 || first.front() == '-' || first.back() == '-')
    return false;
  for (char c : first)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
      return false;
  return first.size() < 4 || first.substr(2, 2) != "--";
}

// libidn2 drops some ASCII characters that STD3 forbids instead of refusing them, so they are
// refused here: two spellings of one host must never differ by a character that vanished.
bool has_foreign_ascii(std::string_view first) {
  for (char c : first) {
    auto u = static_cast<unsigned char>(c);
    bool host = (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9')
                || u == '-' || u == '.';
    if (u < 0x80 && !host)
      return true;
  }
  return false;
}

result<std::string> map_uts46(std::string_view first) {
  std::string in{first};
  char* out = nullptr;
  int rc = idn2_to_ascii_8z(in.c_str(), &out, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
  std::unique_ptr<char, void (*)(void*)> guard{out, idn2_free};
  if (rc != IDN2_OK)
    return bad(first, std::string{"the first part is no host or tenant: "} + idn2_strerror(rc));
  std::string label{out};
  for (auto& c : label) // plain ASCII labels pass libidn2 with their case
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return label;
}

result<std::string> to_a_label(std::string_view first) {
  if (is_plain_label(first))
    return std::string{first};
  if (first.empty() || has_foreign_ascii(first) || first.front() == '.' || first.back() == '.'
      || first.find("..") != first.npos)
    return bad(first, "the first part is no host or tenant: letters, digits, `-` and inner `.`");
  auto label = map_uts46(first);
  if (!label)
    return label;
  auto again = map_uts46(*label); // a canonical form is its own canonical form
  if (label->empty() || !again || *again != *label || has_foreign_ascii(*label))
    return bad(first, "the first part has no canonical host form");
  return label;
}

} // namespace

result<name> name::parse(std::string_view text) {
  if (text.empty())
    return bad(text, "empty");
  if (text.size() > 4 * bytes_max) // before any work; mapping can only shrink it so far
    return bad(text, "longer than 255 bytes");
  if (text.find('\0') != text.npos)
    return bad(text, "control characters are not allowed");
  if (auto ok = check_characters(text); !ok)
    return std::unexpected{ok.error()};
  auto slash = text.find('/');
  auto label = to_a_label(text.substr(0, slash));
  if (!label)
    return std::unexpected{label.error()};
  std::string canonical = std::move(*label);
  if (slash != text.npos) {
    auto path = text.substr(slash + 1);
    if (auto ok = check_nfc(path); !ok)
      return std::unexpected{ok.error()};
    if (auto ok = check_segments(path); !ok)
      return std::unexpected{ok.error()};
    canonical += '/';
    canonical += path;
  }
  if (canonical.size() > bytes_max)
    return bad(text, "longer than 255 bytes");
  return name{std::move(canonical)};
}

result<std::string> check_prefix(std::string_view text) {
  if (text.size() > name::bytes_max)
    return bad(text, "a prefix has at most 255 bytes");
  if (auto ok = check_characters(text); !ok)
    return std::unexpected{ok.error()};
  auto slash = text.find('/');
  if (slash == text.npos)
    return std::string{text};
  auto label = to_a_label(text.substr(0, slash));
  if (!label)
    return std::unexpected{label.error()};
  return *label + std::string{text.substr(slash)};
}

} // namespace ron::index
