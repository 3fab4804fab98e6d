#include "node/root_key.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace ron::node;
using ::testing::HasSubstr;
using ::testing::Not;

struct RootKey : ::testing::Test {
  std::string path = ::testing::TempDir() + "ron-root-key-" + std::to_string(::getpid());
  ~RootKey() override { std::filesystem::remove(path); }
  auto read(const std::string& text, ::mode_t mode = 0600) {
    std::ofstream{path} << text;
    ::chmod(path.c_str(), mode);
    return read_root_key(path);
  }
};

TEST_F(RootKey, IsALineOfHexDigits) {
  std::string text;
  for (int i = 0; i < 32; ++i)
    text += "a" + std::to_string(i % 10);
  for (const auto* end : {"", "\n"}) {
    auto key = read(text + end);
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ((*key)[0], 0xa0);
    EXPECT_EQ((*key)[31], 0xa1);
  }
}

TEST_F(RootKey, RefusesAnythingElseAndDoesNotQuoteIt) {
  const std::string good(64, '7');
  for (const auto& bad : {std::string{}, good.substr(1), good + "7", good + "\n\n", "x" + good,
                          good.substr(1) + "g", "+" + good.substr(1), std::string(1'000, '7')}) {
    auto key = read(bad);
    ASSERT_FALSE(key) << bad;
    EXPECT_EQ(key.error().exit_code, exit_configuration);
    EXPECT_THAT(key.error().message, HasSubstr(path));
    EXPECT_THAT(key.error().message, Not(HasSubstr("777")));
  }
  EXPECT_FALSE(read(good, 0640)) << "others may read it";
  EXPECT_FALSE(read_root_key(path + "-nowhere"));
}

} // namespace
