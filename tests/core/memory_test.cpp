#include "core/memory.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace ron::core {
namespace {

namespace fs = std::filesystem;

class CgroupTree : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "ron-cgroup-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    top_ = name;
  }
  void TearDown() override { fs::remove_all(top_); }

  void put(const fs::path& file, std::string_view text) {
    fs::create_directories((top_ / file).parent_path());
    std::ofstream{top_ / file} << text;
  }

  fs::path top_;
};

TEST_F(CgroupTree, TheLeastLimitOnTheWayUpCounts) {
  put("memory.max", "max\n");
  put("system.slice/memory.max", "2147483648\n");
  put("system.slice/ron.service/memory.max", "4294967296\n");
  EXPECT_EQ(cgroup_memory_limit(top_, "0::/system.slice/ron.service\n"), 2'147'483'648u);
}

TEST_F(CgroupTree, NoLimitIsNothing) {
  put("a/memory.max", "max\n");
  EXPECT_FALSE(cgroup_memory_limit(top_, "0::/a\n"));
  EXPECT_FALSE(cgroup_memory_limit(top_, "0::/not/there\n"));
  EXPECT_FALSE(cgroup_memory_limit(top_, "0::/\n"));
  EXPECT_FALSE(cgroup_memory_limit(top_, ""));
  EXPECT_FALSE(cgroup_memory_limit(top_, "nonsense"));
}

TEST_F(CgroupTree, TheRootOfAContainerCounts) {
  put("memory.max", "536870912\n");
  EXPECT_EQ(cgroup_memory_limit(top_, "0::/\n"), 536'870'912u);
}

TEST_F(CgroupTree, UnderstandsTheMemoryControllerOfVersion1) {
  put("memory/job/memory.limit_in_bytes", "1073741824\n");
  put("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(cgroup_memory_limit(top_, "12:cpu,cpuacct:/job\n4:hugetlb,memory:/job\n0::/job\n"),
            1'073'741'824u);
}

TEST(Memory, KnowsTheMachine) {
  EXPECT_GT(available_memory(), 64u << 20);
}

TEST(ProcessUsage, SeesWhatTheProcessDoes) {
  auto before = read_process_usage();
  EXPECT_GT(before.resident_bytes, 0u);
  EXPECT_GE(before.virtual_bytes, before.resident_bytes);
  EXPECT_GT(before.start_unix_seconds, 1.6e9);
  EXPECT_GE(before.max_fds, before.open_fds);
  int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  auto held = std::make_unique<std::string>(32u << 20, 'x');
  auto after = read_process_usage();
  EXPECT_EQ(after.open_fds, before.open_fds + 1);
  EXPECT_GE(after.resident_bytes, before.resident_bytes + (16u << 20));
  EXPECT_GE(after.cpu_seconds, before.cpu_seconds);
  EXPECT_EQ(after.start_unix_seconds, before.start_unix_seconds);
  EXPECT_EQ(held->back(), 'x');
  ::close(fd);
}

TEST(Memory, PagesOfFilesAreNotTheProcessesOwn) {
  constexpr std::size_t size = 32u << 20;
  auto held = std::make_unique<std::string>(size, 'x');
  const auto own = private_bytes();
  EXPECT_GE(own, size);
  EXPECT_LT(own, read_process_usage().resident_bytes);
  std::string path = ::testing::TempDir() + "ron-memory-XXXXXX";
  const int fd = ::mkstemp(path.data());
  ASSERT_GE(fd, 0);
  ::unlink(path.c_str());
  ASSERT_EQ(::write(fd, held->data(), size), static_cast<ssize_t>(size));
  const auto* mapped = static_cast<const char*>(
    ::mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0));
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(mapped[size - 1], 'x');
  EXPECT_LT(private_bytes(), own + size / 2);
  EXPECT_GE(read_process_usage().resident_bytes, own + size);
  ::munmap(const_cast<char*>(mapped), size);
  ::close(fd);
}

} // namespace
} // namespace ron::core
