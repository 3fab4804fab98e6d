#include "stores/backup.hpp"
#include "stores/verify.hpp"

#include "core/store/key.hpp"
#include "index/layout.hpp"
#include "index/lmdb_store.hpp"
#include "mailbox/lmdb_journal.hpp"
#include "storage/lmdb_layout.hpp"
#include "storage/storage_fixture.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <map>

namespace {

using namespace ron::test;
using namespace ron::stores;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace store = core::store;

/// The data folder of a node with some objects, names and mail.
struct Stores : ::testing::Test {
  temporary_folder root;
  core::system_clock clock;
  static constexpr int names = 40;
  static constexpr std::uint64_t messages = 35;
  std::vector<core::cid> objects;
  std::vector<std::string> damage;
  std::map<std::string, std::uint64_t> counts;

  std::string path(kind k) const { return root.path + "/" + to_string(k); }

  void SetUp() override {
    fill_storage();
    fill_index();
    fill_mailbox();
    // What was moved or replaced leaves traces on free pages; without them each byte is there once.
    for (auto k : {kind::index, kind::storage, kind::mailbox}) {
      auto c = store::compact_environment(path(k));
      ASSERT_TRUE(c) << c.error().message;
    }
  }

  std::unique_ptr<backend> open_storage() {
    auto o = lmdb_options(root);
    o.path = path(kind::storage);
    auto db = open_lmdb_backend(o, clock);
    if (!db)
      throw std::runtime_error(db.error().message);
    return std::move(*db);
  }
  void fill_storage() {
    auto db = open_storage();
    // None, one and many groups; more than one page of the tree.
    for (std::size_t size : {0u, 10u, 65'536u, 65'537u, 70u << 16, 5'000'000u}) {
      auto r = put(*db, noise(size, size));
      ASSERT_TRUE(r) << r.error().message;
      objects.push_back(r->cid);
    }
    ASSERT_TRUE(pin(*db, objects[1]));
  }
  void fill_index() {
    auto db = ron::index::open_lmdb_store({path(kind::index), 16u << 20, 8}, clock);
    ASSERT_TRUE(db) << db.error().message;
    for (int i = 0; i < names; ++i) {
      const ron::index::put_name w{"alice/" + std::to_string(i),
                                   objects[static_cast<std::size_t>(i) % objects.size()], 0, {},
                                   {}};
      ASSERT_TRUE(wait_for<ron::index::name_written>(
        [&](auto then) { (*db)->put(w, std::move(then)); }));
    }
  }
  void fill_mailbox() {
    auto db = ron::mailbox::open_lmdb_journal({path(kind::mailbox), 16u << 20, 8}, clock);
    ASSERT_TRUE(db) << db.error().message;
    for (std::uint64_t i = 1; i <= messages; ++i) {
      ron::mailbox::mail_body body;
      body.id = std::to_string(i);
      body.payload = core::bytes::copy(noise(300, i));
      const auto in = static_cast<ron::mailbox::bucket>(i % 7);
      const ron::mailbox::keep_mail m{in, i, "jobs", &body, {}};
      ASSERT_TRUE(wait_for<void>(
        [&](auto then) { (*db)->write(1, {ron::mailbox::change{m}}, std::move(then)); }));
    }
  }

  result<void> check(kind k) {
    store::check_log log;
    damage.clear();
    log.damaged = [this](const std::string& line) { damage.push_back(line); };
    log.passed = [](std::uint64_t) {};
    auto r = verify({k, path(k)}, log);
    counts = log.counts;
    return r;
  }

  /// Where `what` lies in a file; it is there exactly once.
  static std::size_t find(const std::string& file, byte_view what) {
    std::ifstream in{file, std::ios::binary};
    const std::string all{std::istreambuf_iterator<char>{in}, {}};
    const std::string wanted{reinterpret_cast<const char*>(what.data()), what.size()};
    const auto at = all.find(wanted);
    EXPECT_NE(at, all.npos);
    EXPECT_EQ(all.find(wanted, at + 1), all.npos);
    return at;
  }
  static void flip(const std::string& file, std::size_t at) {
    std::fstream f{file, std::ios::binary | std::ios::in | std::ios::out};
    f.seekg(static_cast<std::streamoff>(at));
    const auto c = static_cast<char>(f.get() ^ 0x10);
    f.seekp(static_cast<std::streamoff>(at));
    f.put(c);
  }
  std::string file(kind k) const { return path(k) + "/data.mdb"; }
};

TEST_F(Stores, SoundOnesHaveNoDamage) {
  for (auto k : {kind::index, kind::storage, kind::mailbox}) {
    auto ok = check(k);
    ASSERT_TRUE(ok) << ok.error().message;
    EXPECT_THAT(damage, IsEmpty());
    if (k == kind::index) {
      EXPECT_EQ(counts["names"], std::uint64_t{names});
    } else if (k == kind::mailbox) {
      EXPECT_EQ(counts["messages"], messages);
    } else {
      EXPECT_EQ(counts["objects"], objects.size());
      EXPECT_EQ(counts["groups"], 1u + 1 + 1 + 2 + 70 + 77);
      EXPECT_EQ(counts["bytes"], 10u + 65'536 + 65'537 + (70u << 16) + 5'000'000);
      EXPECT_EQ(counts["quarantined"], 0u);
    }
  }
}

TEST_F(Stores, AnyFlippedByteOfAnObjectIsNamed) {
  const auto data = noise(5'000'000, 5'000'000);
  std::mt19937_64 rng{std::random_device{}()};
  const auto place = rng() % data.size();
  const auto group = place / b3::group_bytes * b3::group_bytes;
  const auto start = find(file(kind::storage), byte_view{data}.subspan(group, 64));
  flip(file(kind::storage), start + place - group);
  ASSERT_TRUE(check(kind::storage));
  ASSERT_EQ(damage.size(), 1u) << "flipped " << place;
  EXPECT_THAT(damage[0], HasSubstr(objects.back().to_text()));
  EXPECT_THAT(damage[0], HasSubstr(": " + std::to_string(place / b3::group_bytes)));
}

TEST_F(Stores, ADamagedTreeIsFound) {
  const auto data = noise(70u << 16, 70u << 16);
  b3::tree_builder tree;
  for (std::size_t at = 0; at < data.size(); at += b3::group_bytes)
    tree.add_group(byte_view{data}.subspan(at, b3::group_bytes));
  tree.finish();
  const auto nodes = tree.take_nodes();
  for (std::size_t node : {3u, 68u}) { // on the first page, on the second
    const auto at = find(file(kind::storage), byte_view{nodes}.subspan(node * 64, 64));
    flip(file(kind::storage), at + 5);
    ASSERT_TRUE(check(kind::storage));
    EXPECT_THAT(damage, Contains(HasSubstr(objects[4].to_text() + ": the tree")));
    flip(file(kind::storage), at + 5);
  }
  ASSERT_TRUE(check(kind::storage));
  EXPECT_THAT(damage, IsEmpty());
}

TEST_F(Stores, BooksThatDisagreeAreFound) {
  store::environment_options o;
  o.path = path(kind::storage);
  o.map_bytes = 64u << 20;
  o.tables = layout::table_names();
  o.format = layout::format;
  {
    auto env = store::environment::open(o);
    ASSERT_TRUE(env) << env.error().message;
    store::writer log{**env, {}, nullptr};
    ASSERT_TRUE(wait_for<void>([&](auto then) {
      store::write_job job;
      job.apply = [&](store::transaction& t) -> result<void> {
        // A pin nobody knows of, a holder too many, a group of nobody, a lost object.
        if (auto ok = t.put(layout::pins, objects[2].view(), {}); !ok)
          return ok;
        if (auto ok = t.put(layout::holders, layout::holder_key(objects[3], tenant_of(9)),
                            store::key::of(std::uint64_t{1}));
            !ok)
          return ok;
        if (auto ok = t.put(layout::chunks, layout::chunk_key(4'711, 0), objects[0].view()); !ok)
          return ok;
        return layout::add_to_sums(t, 1, 0);
      };
      job.then = std::move(then);
      log.submit(std::move(job));
    }));
  }
  ASSERT_TRUE(check(kind::storage));
  EXPECT_THAT(damage, Contains(HasSubstr(objects[2].to_text() + ": the table of pins")));
  EXPECT_THAT(damage, Contains(HasSubstr(objects[3].to_text() + ": 2 holders")));
  EXPECT_THAT(damage, Contains(HasSubstr("number 4711")));
  EXPECT_THAT(damage, Contains(HasSubstr("total of objects")));
  EXPECT_EQ(damage.size(), 4u);
}

TEST_F(Stores, ADamagedNameIsFound) {
  ron::index::name_record r{"alice/39", objects[39 % objects.size()], names, 0, 0};
  const auto record = ron::index::layout::encode(r);
  const auto at = find(file(kind::index), record.view().first(40)); // up to the version
  flip(file(kind::index), at + 3); // now of another object
  ASSERT_TRUE(check(kind::index));
  EXPECT_THAT(damage, Contains(HasSubstr("alice/39")));
  flip(file(kind::index), at + 3);
  flip(file(kind::index), at + 33); // a version that was never given out
  ASSERT_TRUE(check(kind::index));
  EXPECT_THAT(damage, Contains(HasSubstr("was never given out")));
}

TEST_F(Stores, ADamagedMessageIsFound) {
  const auto at = find(file(kind::mailbox), noise(300, 31));
  flip(file(kind::mailbox), at + 299);
  ASSERT_TRUE(check(kind::mailbox));
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_THAT(damage[0], HasSubstr("message 31 of part 3"));
}

/// Whatever is written over, the check ends and does not take the process with it.
TEST_F(Stores, ADamagedStructureEndsNobody) {
  const auto seed = std::random_device{}();
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937_64 rng{seed};
  const auto sound = [&] {
    std::ifstream in{file(kind::index), std::ios::binary};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  }();
  int noticed = 0;
  for (int i = 0; i < 60; ++i) {
    auto bad = sound;
    const auto at = 2 * 4'096 + rng() % (bad.size() - 2 * 4'096 - 64); // beyond LMDB's heads
    for (int n = 0; n < 64; ++n)
      bad[at + static_cast<std::size_t>(n)] = static_cast<char>(rng());
    std::ofstream{file(kind::index), std::ios::binary | std::ios::trunc} << bad;
    noticed += !check(kind::index) || !damage.empty() ? 1 : 0;
  }
  EXPECT_GT(noticed, 0) << "seed " << seed;
}

TEST_F(Stores, ABackupIsADataFolder) {
  auto places = places_below(root.path);
  ASSERT_TRUE(places) << places.error().message;
  ASSERT_EQ(places->size(), 3u);
  EXPECT_EQ(places->front().is, kind::index) << "names before objects";
  const auto to = root.path + "/copy";
  std::vector<kind> told;
  auto done = backup(*places, to, [&](const place& p, std::uint64_t written, std::uint64_t about) {
    EXPECT_LE(written, about);
    if (written == about)
      told.push_back(p.is);
  });
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_THAT(told, ::testing::IsSupersetOf({kind::index, kind::storage, kind::mailbox}));
  auto copies = places_below(to);
  ASSERT_TRUE(copies);
  ASSERT_EQ(copies->size(), 3u);
  for (const auto& p : *copies) {
    store::check_log log;
    damage.clear();
    log.damaged = [this](const std::string& line) { damage.push_back(line); };
    log.passed = [](std::uint64_t) {};
    ASSERT_TRUE(verify(p, log));
    EXPECT_THAT(damage, IsEmpty());
  }
  done = backup(*places, to);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ec::conflict);
}

TEST_F(Stores, AFailedBackupLeavesNothing) {
  std::ofstream{file(kind::mailbox), std::ios::trunc} << "no store at all";
  auto places = places_below(root.path);
  ASSERT_TRUE(places);
  const auto to = root.path + "/copy";
  auto done = backup(*places, to);
  ASSERT_FALSE(done);
  EXPECT_TRUE(fs::is_empty(to)) << "a half backup looks like a whole one";
}

TEST_F(Stores, AFolderWithoutStoresIsAnError) {
  auto places = places_below(root.path + "/nowhere");
  ASSERT_FALSE(places);
  EXPECT_EQ(places.error().code, ec::not_found);
}

} // namespace
