#include "transport/tor/onion_key.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace ron::transport::tor {
namespace {

class OnionKey : public testing::Test {
protected:
  OnionKey() {
    char name[] = "/tmp/ron-onion-XXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/onion.key";
  }
  ~OnionKey() override { std::filesystem::remove_all(folder); }

  void write(const std::string& text, mode_t mode = 0600) {
    std::ofstream{path} << text;
    ::chmod(path.c_str(), mode);
  }

  std::string folder;
  std::string path;
};

const std::string key = "ED25519-V3:QUJD";

TEST_F(OnionKey, SurvivesAndIsForItsOwnerAlone) {
  EXPECT_EQ(load_onion_key(path), "");
  ASSERT_TRUE(save_onion_key(path, key));
  EXPECT_EQ(load_onion_key(path), key);
  struct stat about{};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(save_onion_key(path, "ED25519-V3:other").error().code, core::ec::conflict);
  EXPECT_EQ(load_onion_key(path), key);
}

TEST_F(OnionKey, SaysWhatIsWrong) {
  write(key, 0640);
  EXPECT_EQ(load_onion_key(path).error().code, core::ec::forbidden);
  write("-----BEGIN PRIVATE KEY-----\n");
  EXPECT_EQ(load_onion_key(path).error().code, core::ec::bad_request);
  write(std::string(10'000, 'a'));
  EXPECT_EQ(load_onion_key(path).error().code, core::ec::internal);
  EXPECT_EQ(save_onion_key(folder + "/no/where", key).error().code, core::ec::internal);
  EXPECT_EQ(load_onion_key(folder).error().code, core::ec::internal);
}

TEST_F(OnionKey, ACookieIsAFileOfExactlyItsSize) {
  EXPECT_FALSE(load_cookie(path));
  write(std::string(32, 'c'));
  EXPECT_EQ(load_cookie(path), std::string(32, 'c'));
  write(std::string(33, 'c'));
  EXPECT_FALSE(load_cookie(path));
  EXPECT_FALSE(load_cookie("/dev/zero"));
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(load_cookie(path)) << "does not wait for a writer";
}

} // namespace
} // namespace ron::transport::tor
