#include "core/config_render.hpp"

#include <gtest/gtest.h>

#include <random>

/// No input crashes the parser, whatever it is; and what it takes it can print.
namespace ron::core::config {

namespace {

/// Loads `text` as a file and checks what must hold of any outcome.
void survive(const std::string& text) {
  sources s;
  s.files.push_back({"f.ini", text});
  auto got = load(s);
  EXPECT_EQ(got.config == nullptr, !got.errors.empty());
  for (const auto& p : got.errors)
    for (char c : to_string(p))
      ASSERT_TRUE(c >= 0x20 && c < 0x7f) << "a message is safe to print";
  if (!got.config)
    return;
  s.files[0].text = print_config(*got.config);
  auto again = load(s);
  ASSERT_TRUE(again.config) << s.files[0].text;
  EXPECT_TRUE(diff(*got.config, *again.config).empty());
}

/// Prints its seed when a test fails.
class ConfigRandom : public testing::Test {
protected:
  std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  testing::ScopedTrace trace_{__FILE__, __LINE__, "seed " + std::to_string(seed_)};
};

} // namespace

TEST_F(ConfigRandom, RandomBytes) {
  for (int round = 0; round < 2000; ++round) {
    std::string text(random_() % 200, ' ');
    for (auto& c : text)
      c = static_cast<char>(random_());
    survive(text);
  }
}

TEST_F(ConfigRandom, RandomTokens) {
  static constexpr std::string_view tokens[] = {
    "[", "]", "=", ";", "#", "{", "}", "\"", "'", "\\", ",", "\n", "\r\n", " ", "http", "address",
    "node", "roles", "log.level", "oap", "off", "none", "true", "5s", "64KiB", "127.0.0.1:0", ".",
    "mailbox-bounds", "omnigate", "18446744073709551616", "%", "/s", "\0", "\xc3\xa4", "\xff"};
  for (int round = 0; round < 2000; ++round) {
    std::string text = "[http]\n";
    for (auto n = random_() % 60; n > 0; --n)
      text += tokens[random_() % std::size(tokens)];
    survive(text);
  }
}

TEST_F(ConfigRandom, DamagedFiles) {
  std::string whole;
  for (auto name : default_file_names())
    whole = default_file(name);
  sources s;
  s.files.push_back({"f.ini", whole});
  auto printed = print_config(*load(s).config);
  for (int round = 0; round < 300; ++round) {
    auto text = printed;
    for (auto n = random_() % 4; n < 4; ++n) {
      auto at = random_() % text.size();
      switch (random_() % 3) {
        case 0:
          text[at] = static_cast<char>(random_());
          break;
        case 1:
          text.erase(at, random_() % 20);
          break;
        default:
          text.insert(at, text.substr(random_() % text.size(), random_() % 20));
      }
    }
    survive(text);
  }
}

} // namespace ron::core::config
