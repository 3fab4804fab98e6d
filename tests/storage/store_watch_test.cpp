#include "core/store/store_watch.hpp"
#include "storage_fixture.hpp"
#include "support/stuck_disk.hpp"

#include <cstring>
#include <fstream>
#include <future>
#include <vector>

namespace {

using namespace ron::test;

TEST(StoreWatch, NoticesACommitThatDoesNotComeBack) {
  const temporary_folder folder;
  core::manual_clock clock;
  stuck_disk disk; // outlives the store
  auto db = open_lmdb(lmdb_options(folder), clock, &disk);
  const auto c = put(*db, noise(100, 1));
  ASSERT_TRUE(c);
  disk.stick();
  std::promise<result<object_info>> late;
  db->pin(c->cid, [&](result<object_info> r) { late.set_value(std::move(r)); });
  db->maintain();
  EXPECT_FALSE(db->stalled());
  clock.advance(core::store::store_watch::patience + 1s);
  db->maintain();
  EXPECT_TRUE(db->stalled()) << "the one job is under way, and nothing waits behind it";
  EXPECT_TRUE(db->stats().stalled);
  EXPECT_FALSE(db->stats().map) << "whoever asks for figures does not ask the disk";
  disk.go_on();
  ASSERT_TRUE(late.get_future().get());
  ASSERT_TRUE(put(*db, noise(100, 2))) << "so the writer is through with the one before";
  db->maintain();
  EXPECT_FALSE(db->stalled());
}

// -- a tree that leads in circles ----------------------------------------------------------------

template <class T>
T number_at(const std::vector<char>& file, std::size_t at) {
  T out{};
  std::memcpy(&out, file.data() + at, sizeof out);
  return out;
}

constexpr std::size_t page_bytes = 4'096;

bool is_branch(const std::vector<char>& file, std::uint64_t page) {
  return page < file.size() / page_bytes
         && number_at<std::uint64_t>(file, page * page_bytes) == page
         && (number_at<std::uint16_t>(file, page * page_bytes + 10) & 1) != 0;
}

/// The root page of a table: the record of the table in LMDB's main tree ends with its number. An
/// old one may lie on a free page; the one with the most entries is the last.
std::size_t root_of(const std::vector<char>& file, const std::string& table) {
  constexpr std::size_t record_bytes = 48;
  std::uint64_t most = 0;
  std::size_t root = 0;
  for (std::size_t at = 8; at + table.size() + record_bytes <= file.size(); ++at) {
    if (std::memcmp(file.data() + at, table.data(), table.size()) != 0
        || number_at<std::uint16_t>(file, at - 2) != table.size()
        || number_at<std::uint16_t>(file, at - 8) != record_bytes)
      continue;
    const auto record = at + table.size();
    const auto entries = number_at<std::uint64_t>(file, record + 32);
    const auto page = number_at<std::uint64_t>(file, record + 40);
    if (entries > most && is_branch(file, page)) {
      most = entries;
      root = page;
    }
  }
  return root;
}

/// Makes the third child of a table's root the first one once more: a walk comes by again where it
/// has been. (A page of another kind than its place says makes LMDB end the process.)
void bend(const std::string& path, const std::string& table) {
  std::ifstream in{path, std::ios::binary};
  std::vector<char> file{std::istreambuf_iterator<char>{in}, {}};
  const auto root = root_of(file, table);
  ASSERT_NE(root, 0u);
  const auto child = [&](std::size_t n) {
    const auto begin = root * page_bytes;
    return file.data() + begin + number_at<std::uint16_t>(file, begin + 16 + 2 * n);
  };
  std::memcpy(child(2), child(0), sizeof(std::uint32_t)); // the number of the page
  std::ofstream{path, std::ios::binary}.write(file.data(),
                                              static_cast<std::streamsize>(file.size()));
}

struct ACircle : ::testing::TestWithParam<const char*> {
  temporary_folder folder;
  core::manual_clock clock;
  lmdb_backend_options options = lmdb_options(folder);
};

TEST_P(ACircle, EndsEveryWalkAndNobodyElse) {
  auto db = open_lmdb(options, clock);
  std::vector<core::cid> all;
  for (std::uint64_t n = 0; n < 400; ++n)
    all.push_back(put(*db, noise(10 + n, n))->cid);
  db.reset();
  ASSERT_NO_FATAL_FAILURE(bend(options.path + "/data.mdb", GetParam()));
  db = open_lmdb(options, clock);
  db->set_replication({.copies = true, .others = true});
  // Each of them ends, as a success or with an error; what is found is whole.
  std::size_t found = 0;
  for (std::uint64_t n = 0; n < all.size(); ++n)
    if (auto bytes = get(*db, all[n], 0, 10 + n)) {
      ASSERT_TRUE(*bytes == noise(10 + n, n));
      ++found;
    }
  // Who holds an object is not looked at when it is read.
  EXPECT_EQ(found == all.size(), std::string{GetParam()} == "holders") << found;
  scrub_place at;
  std::size_t steps = 0;
  for (bool over = false; !over && steps < 10 * all.size(); ++steps) {
    const auto s = db->scrub(at, 1);
    over = !s || s->finished;
    if (s)
      at = s->next;
  }
  EXPECT_LT(steps, 10 * all.size()) << "a scrub that does not end";
  static_cast<void>(db->work({}, 1'000));
  static_cast<void>(db->pins({}, 1'000));
  for (int n = 0; n < 20; ++n) {
    const auto step = wait_for<walk_state>(
      [&](auto then) { db->walk({.mark = 1, .limit = 64}, std::move(then)); });
    EXPECT_TRUE(step || step.error().code != ec::timeout);
    if (!step) {
      EXPECT_NE(step.error().message.find("MDB_CORRUPTED"), std::string::npos)
        << step.error().message;
    }
  }
  db->maintain();
  static_cast<void>(db->stats());
  EXPECT_FALSE(db->stalled());
}

INSTANTIATE_TEST_SUITE_P(StoreWatch, ACircle, ::testing::Values("objects", "chunks", "holders"),
                         [](const auto& p) { return std::string{p.param}; });

} // namespace
