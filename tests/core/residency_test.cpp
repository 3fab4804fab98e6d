#include "core/store/residency.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace ron::core::store {
namespace {

constexpr std::size_t size = 256u << 10;

/// A mapped file that has no name.
struct mapped_file {
  mapped_file() : file(::tmpfile(), ::fclose) {
    const std::string text(size, 'x');
    EXPECT_EQ(::pwrite(fd(), text.data(), text.size(), 0), static_cast<ssize_t>(size));
    EXPECT_EQ(::fsync(fd()), 0);
    auto* p = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd(), 0);
    EXPECT_NE(p, MAP_FAILED);
    bytes = {static_cast<const std::uint8_t*>(p), size};
  }
  ~mapped_file() { ::munmap(const_cast<std::uint8_t*>(bytes.data()), size); }
  int fd() const { return ::fileno(file.get()); }

  std::unique_ptr<FILE, int (*)(FILE*)> file;
  byte_view bytes;
};

TEST(Residency, WhatWasLoadedIsInMemory) {
  mapped_file f;
  ASSERT_EQ(::posix_fadvise(f.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const auto part = f.bytes.subspan(5'000, 100'000);
  EXPECT_TRUE(load(part));
  EXPECT_TRUE(resident(part));
  EXPECT_TRUE(load({}));
}

TEST(Residency, WhatTheDiskHasLostIsNotTouched) {
  mapped_file f;
  ASSERT_EQ(::ftruncate(f.fd(), 8'192), 0);
  EXPECT_TRUE(load(f.bytes.first(8'192)));
  EXPECT_FALSE(load(f.bytes.subspan(4'096, 65'536)));
}

} // namespace
} // namespace ron::core::store
