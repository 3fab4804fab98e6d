#include "core/store/residency.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ron::core::store {
namespace {

constexpr std::size_t size = 256u << 10;

/// A mapped file that has no name.
struct test_file {
  test_file() : file(::tmpfile(), ::fclose) {
    const std::string text(size, 'x');
    EXPECT_EQ(::pwrite(fd(), text.data(), text.size(), 0), static_cast<ssize_t>(size));
    EXPECT_EQ(::fsync(fd()), 0);
    auto* p = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd(), 0);
    EXPECT_NE(p, MAP_FAILED);
    bytes = {static_cast<const std::uint8_t*>(p), size};
  }
  ~test_file() { ::munmap(const_cast<std::uint8_t*>(bytes.data()), size); }
  int fd() const { return ::fileno(file.get()); }

  std::unique_ptr<FILE, int (*)(FILE*)> file;
  byte_view bytes;
};

TEST(Residency, WhatWasLoadedIsInMemory) {
  test_file f;
  ASSERT_EQ(::posix_fadvise(f.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const auto part = f.bytes.subspan(5'000, 100'000);
  EXPECT_TRUE(load(part));
  EXPECT_TRUE(resident(part));
  EXPECT_TRUE(load({}));
}

TEST(Residency, WhatTheDiskHasLostIsNotTouched) {
  test_file f;
  ASSERT_EQ(::ftruncate(f.fd(), 8'192), 0);
  EXPECT_TRUE(load(f.bytes.first(8'192)));
  EXPECT_FALSE(load(f.bytes.subspan(4'096, 65'536)));
}

/// Bytes that differ from place to place.
void fill(const test_file& f) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(i * 7 + i / 251);
  ASSERT_EQ(::pwrite(f.fd(), text.data(), size, 0), static_cast<ssize_t>(size));
  ASSERT_EQ(::fsync(f.fd()), 0);
}

/// With the file, and without it out of the map.
struct Copying : ::testing::TestWithParam<bool> {
  mapped_file file_of(const test_file& f) const {
    return GetParam() ? mapped_file::of(f.fd()) : mapped_file{};
  }
};

TEST_P(Copying, GivesTheBytesOfTheMap) {
  test_file f;
  fill(f);
  const auto m = file_of(f);
  EXPECT_EQ(m.known(), GetParam());
  for (const bool may_wait : {true, false})
    for (const auto& [at, n] : {std::pair<std::size_t, std::size_t>{0, size}, {4'112, 65'536},
                                {size - 1, 1}, {100, 0}}) {
      std::vector<std::uint8_t> out(n);
      const auto part = f.bytes.subspan(at, n);
      ASSERT_EQ(m.copy(part, out, may_wait), copied::yes);
      EXPECT_TRUE(std::ranges::equal(out, part));
    }
}

TEST_P(Copying, SaysWhatIsNotInMemoryUnlessItMayWait) {
  test_file f;
  fill(f);
  ASSERT_EQ(::posix_fadvise(f.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const auto m = file_of(f);
  const auto part = f.bytes.subspan(5'000, 60'000);
  std::vector<std::uint8_t> out(part.size());
  const bool in_memory = resident(part); // some file systems keep everything there
  EXPECT_EQ(m.copy(part, out, false), in_memory ? copied::yes : copied::not_in_memory);
  ASSERT_EQ(m.copy(part, out, true), copied::yes);
  EXPECT_TRUE(std::ranges::equal(out, part));
  EXPECT_EQ(m.copy(part, out, false), copied::yes);
}

TEST_P(Copying, OfWhatTheDiskHasLostEndsWithoutIt) {
  test_file f;
  const auto m = file_of(f);
  ASSERT_EQ(::ftruncate(f.fd(), 8'192), 0);
  std::vector<std::uint8_t> out(65'536);
  const auto part = f.bytes.subspan(4'096, out.size());
  EXPECT_EQ(m.copy(part, out, true), copied::unreadable);
  EXPECT_EQ(m.copy(part, out, false), copied::not_in_memory);
}

TEST_P(Copying, OfOtherMemoryIsACopy) {
  test_file f;
  const auto m = file_of(f);
  const std::vector<std::uint8_t> elsewhere(10'000, 'y');
  std::vector<std::uint8_t> out(elsewhere.size());
  ASSERT_EQ(m.copy(elsewhere, out, true), copied::yes);
  EXPECT_EQ(out, elsewhere);
}

TEST(MappedFile, ReadsAheadWithoutBeingWaitedFor) {
  test_file f;
  ASSERT_EQ(::posix_fadvise(f.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const auto m = mapped_file::of(f.fd());
  const auto part = f.bytes.subspan(5'000, 60'000);
  m.read_ahead(part);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (!resident(part) && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  EXPECT_TRUE(resident(part));
  const std::vector<std::uint8_t> elsewhere(10'000, 'y');
  m.read_ahead(elsewhere); // no part of the file
  mapped_file{}.read_ahead(part);
}

TEST(MappedFile, ReadsNothingElseIfTold) {
  test_file f;
  const auto m = mapped_file::of(f.fd());
  m.read_nothing_else();
  ASSERT_EQ(::posix_fadvise(f.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const auto behind = f.bytes.subspan(20'480);
  if (resident(behind))
    return; // some file systems keep everything there
  std::vector<std::uint8_t> out(8'192);
  ASSERT_EQ(m.copy(f.bytes.first(out.size()), out, true), copied::yes);
  EXPECT_EQ(f.bytes[16'384], 'x');
  constexpr std::size_t page = 4'096;
  for (std::size_t at = 20'480; at < size; at += page)
    EXPECT_FALSE(resident(f.bytes.subspan(at, page))) << at;
}

INSTANTIATE_TEST_SUITE_P(MappedFile, Copying, ::testing::Bool());

} // namespace
} // namespace ron::core::store
