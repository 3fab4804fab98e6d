#include "core/store/lookup_path.hpp"
#include "core/store/warm_pages.hpp"
#include "store_fixture.hpp"
#include "support/eventually.hpp"
#include "support/hung_pages.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace ron::test;

constexpr std::size_t page_size = 4'096;

/// A file's bytes as pages, with note of those that were asked for.
struct pages_of final : page_source {
  explicit pages_of(std::vector<char> b) : bytes(std::move(b)) {}
  const std::uint8_t* at(std::uint64_t page) noexcept override {
    asked.insert(page);
    if (page == missing || page >= bytes.size() / page_size)
      return nullptr;
    return reinterpret_cast<const std::uint8_t*>(bytes.data()) + page * page_size;
  }
  std::size_t page_bytes() const noexcept override { return page_size; }

  std::vector<char> bytes;
  std::uint64_t missing = ~std::uint64_t{0};
  std::set<std::uint64_t> asked;
};

/// A store whose file lies in memory, so that pages can be taken from it one by one.
struct LookupPath : StoreFixture {
  LookupPath() {
    fs::remove_all(root);
    root = folder_in_memory();
  }
  ~LookupPath() override {
    if (map != MAP_FAILED)
      ::munmap(map, size);
    if (fd >= 0)
      ::close(fd);
  }

  std::string file() const { return root + "/db/data.mdb"; }
  std::vector<char> content() const {
    std::ifstream in{file(), std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  /// `n` keys of 1 to 200 bytes and values of all kinds.
  void fill(std::size_t n) {
    open();
    while (keys.size() < n)
      ASSERT_TRUE(write([&](transaction& t) -> result<void> {
        for (std::size_t i = 0; i < 500 && keys.size() < n; ++i) {
          std::string k(1 + rng() % 200, '\0');
          std::ranges::generate(k, [&] { return static_cast<char>(rng()); });
          const std::string value(rng() % 50 == 0 ? 6'000 : rng() % 300, 'v');
          if (auto ok = t.put(data, text(k), text(value)); !ok)
            return ok;
          keys.insert(k);
        }
        return {};
      }));
  }
  /// Keys that are there, and about as many that are not.
  std::vector<std::string> wanted(std::size_t n) {
    std::vector<std::string> out;
    std::ranges::sample(keys, std::back_inserter(out), static_cast<long>(n), rng);
    for (std::size_t i = 0; i < n; ++i)
      out.push_back(out[i] + "x");
    return out;
  }
  std::uint64_t last_txn(const std::vector<char>& bytes) const {
    std::uint64_t out = 0;
    for (std::size_t page : {0, 1}) {
      std::uint64_t txn = 0;
      std::memcpy(&txn, bytes.data() + page * page_size + 144, sizeof txn);
      out = std::max(out, txn);
    }
    return out;
  }

  void map_file() {
    fd = ::open(file().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    size = fs::file_size(file());
    map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(map, MAP_FAILED);
  }
  bool there(std::uint64_t page) const {
    return resident({static_cast<const std::uint8_t*>(map) + page * page_size, page_size});
  }
  void take(std::uint64_t page) const {
    ASSERT_EQ(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          static_cast<off_t>(page * page_size), page_size),
              0);
  }

  const std::uint64_t seed = std::random_device{}();
  std::mt19937_64 rng{seed};
  std::set<std::string> keys;
  int fd = -1;
  void* map = MAP_FAILED;
  std::size_t size = 0;
};

TEST_F(LookupPath, IsWhereLmdbGoesAndNoPageMore) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_NO_FATAL_FAILURE(fill(8'000));
  const auto bytes = content();
  const auto txn = last_txn(bytes);
  ASSERT_NO_FATAL_FAILURE(map_file());
  std::set<std::size_t> lengths;
  for (const auto& k : wanted(30)) {
    pages_of pages{bytes};
    ASSERT_TRUE(path_in_memory(pages, txn, "data", text(k), lookup::exact));
    lengths.insert(pages.asked.size());
    // What LMDB touches besides is brought to memory by that, and is seen there.
    for (std::uint64_t page = 2; page < size / page_size; ++page)
      if (!pages.asked.contains(page))
        take(page);
    {
      auto view = env->wait_and_read();
      ASSERT_TRUE(view);
      const auto found = view->get(data, text(k));
      EXPECT_EQ(found.has_value(), keys.contains(k));
    }
    for (std::uint64_t page = 2; page < size / page_size; ++page) {
      ASSERT_EQ(there(page), pages.asked.contains(page)) << "page " << page;
    }
    ASSERT_EQ(::pwrite(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    // Each page of the path matters.
    for (const auto page : pages.asked) {
      pages_of without{bytes};
      without.missing = page;
      EXPECT_FALSE(path_in_memory(without, txn, "data", text(k), lookup::exact)) << page;
    }
  }
  ASSERT_EQ(lengths.size(), 1u) << "a tree of so many levels";
  EXPECT_GE(*lengths.begin(), 5u) << "meta, tables, and three levels at least";
}

TEST_F(LookupPath, IsKnownForEveryKeyAndTableOfAFileInMemory) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_NO_FATAL_FAILURE(fill(3'000));
  auto view = env->read();
  ASSERT_TRUE(view);
  for (const auto& k : wanted(1'000)) {
    ASSERT_TRUE(view->in_memory(data, text(k)));
    ASSERT_TRUE(view->in_memory(other, text(k))) << "an empty table";
  }
  std::size_t seeks = 0;
  const auto all = wanted(1'000);
  for (const auto& k : all)
    seeks += view->in_memory(data, text(k), lookup::seek);
  EXPECT_GT(seeks, all.size() * 9 / 10) << "only what is behind a leaf's last key is not known";
  EXPECT_TRUE(view->in_memory(data, text(*keys.begin()), lookup::seek));
  EXPECT_FALSE(view->in_memory(data, text(std::string(300, '\xff')), lookup::seek))
    << "behind the last one";
}

TEST_F(LookupPath, NobodyBeginsAViewOfAFileThatIsNotInMemoryUnlessHeMayWait) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_NO_FATAL_FAILURE(fill(3'000));
  close();
  open();
  const auto k = *keys.begin();
  hung_pages hung{file()};
  const auto none = env->read();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ec::busy) << none.error().message;
  auto late = std::async(std::launch::async, [&] { return get(k); });
  hung.go_on();
  EXPECT_NE(late.get(), "not_found");
  ASSERT_TRUE(env->read());
  EXPECT_TRUE(env->read()->in_memory(data, text(k)));
}

TEST_F(LookupPath, PagesAreBelievedToBeInMemoryForASecond) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_NO_FATAL_FAILURE(fill(3'000));
  close();
  ASSERT_NO_FATAL_FAILURE(map_file());
  warm_pages pages;
  EXPECT_EQ(pages.at(0), nullptr) << "of no file";
  pages.set(mapped_file::of(fd), page_size);
  const auto last = size / page_size - 1;
  for (std::uint64_t page = 0; page <= last; ++page)
    EXPECT_EQ(pages.at(page), static_cast<const std::uint8_t*>(map) + page * page_size);
  EXPECT_EQ(pages.at(last + 1), nullptr) << "behind the end";
  EXPECT_EQ(pages.at(~std::uint64_t{0}), nullptr);
  take(last);
  EXPECT_TRUE(eventually([&] { return pages.at(last) == nullptr; })) << "not for ever";
  take(last - 1);
  pages.set(mapped_file::of(fd), page_size);
  EXPECT_EQ(pages.at(last - 1), nullptr) << "asked anew";
  EXPECT_NE(pages.at(0), nullptr);
}

TEST_F(LookupPath, OfADamagedFileEndsWithinIt) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  ASSERT_NO_FATAL_FAILURE(fill(2'000));
  const auto bytes = content();
  const auto txn = last_txn(bytes);
  std::size_t known = 0;
  const auto all = wanted(50);
  for (int round = 0; round < 300; ++round) {
    pages_of pages{bytes};
    for (int i = 0; i < 2'000; ++i)
      pages.bytes[rng() % pages.bytes.size()] = static_cast<char>(rng());
    for (std::size_t page = 2; page < pages.bytes.size() / page_size; ++page)
      if (rng() % 8 == 0) // headers and offsets are where it hurts
        pages.bytes[page * page_size + 8 + rng() % 24] = static_cast<char>(rng());
    for (const auto& k : all)
      known += path_in_memory(pages, txn, "data", text(k), lookup::seek);
  }
  EXPECT_LT(known, 300 * all.size());
  pages_of other_txn{bytes};
  EXPECT_FALSE(path_in_memory(other_txn, txn + 2, "data", text(all[0]), lookup::exact));
  EXPECT_FALSE(path_in_memory(other_txn, txn, "nothing", text(all[0]), lookup::exact));
}

} // namespace
