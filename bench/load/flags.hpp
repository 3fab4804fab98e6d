#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace ron::load {

/// `--name value` and `--name=value` of a load program. Unknown names and bad numbers end the
/// program with its usage and exit code 2.
class flags {
public:
  /// `defaults` are all names there are, with their values as text; `usage` is what --help says.
  flags(int argc, char** argv, std::map<std::string, std::string, std::less<>> defaults,
        std::string_view usage)
    : values_(std::move(defaults)), usage_(usage) {
    for (int i = 1; i < argc; ++i) {
      std::string_view word = argv[i];
      if (word == "--help")
        end(stdout, 0);
      const auto equals = word.find('=');
      const auto at = word.starts_with("--") ? values_.find(word.substr(2, equals - 2))
                                             : values_.end();
      if (at == values_.end() || (equals == word.npos && i + 1 == argc))
        refuse(std::string{word} + ": unknown, or without a value");
      at->second = equals == word.npos ? argv[++i] : word.substr(equals + 1);
    }
  }

  const std::string& text(std::string_view name) const { return values_.find(name)->second; }

  /// A number from `lo` to `hi`.
  std::uint64_t number(std::string_view name, std::uint64_t lo, std::uint64_t hi) const {
    const auto& word = text(name);
    std::uint64_t v = 0;
    const auto r = std::from_chars(word.data(), word.data() + word.size(), v);
    if (r.ec != std::errc{} || r.ptr != word.data() + word.size() || v < lo || v > hi)
      refuse("--" + std::string{name} + ": expected a number from " + std::to_string(lo) + " to "
             + std::to_string(hi));
    return v;
  }

  /// `host:port`.
  std::pair<std::string, std::uint16_t> address(std::string_view name) const {
    const auto& word = text(name);
    const auto colon = word.rfind(':');
    std::uint16_t port = 0;
    if (colon == word.npos
        || std::from_chars(word.data() + colon + 1, word.data() + word.size(), port).ptr
             != word.data() + word.size())
      refuse("--" + std::string{name} + ": expected host:port");
    return {word.substr(0, colon), port};
  }

  [[noreturn]] void refuse(const std::string& why) const {
    std::fprintf(stderr, "%s\n", why.c_str());
    end(stderr, 2);
  }

private:
  [[noreturn]] void end(std::FILE* to, int code) const {
    std::fputs(std::string{usage_}.c_str(), to);
    std::exit(code);
  }

  std::map<std::string, std::string, std::less<>> values_;
  std::string_view usage_;
};

} // namespace ron::load
