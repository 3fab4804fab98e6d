#include "storage/storage.hpp"
#include "support/actor_fixture.hpp"
#include "support/hung_pages.hpp"
#include "storage_fixture.hpp"

#include <atomic>
#include <cstring>
#include <mutex>

namespace {

using namespace ron::test;
using core::bytes;
namespace atom = ron::atom;

/// A back end whose uploads are stored when the test says so, in RAM.
struct slow_backend final : backend {
  explicit slow_backend(const core::clock& clock) : kept(make_ram_backend(0, clock)) {}

  struct slow_upload final : upload {
    slow_upload(slow_backend& o, std::unique_ptr<upload> u) : owner(o), to(std::move(u)) {}
    void add(full_group group, outcome<void> then) override {
      std::lock_guard guard{owner.mutex};
      to->add(std::move(group), [](const result<void>&) {});
      owner.held.push_back(std::move(then));
    }
    void commit(finished_upload last, const core::tenant& t, outcome<put_result> then) override {
      to->commit(std::move(last), t, std::move(then));
    }
    slow_backend& owner;
    std::unique_ptr<upload> to;
  };

  /// Reports the outcome of all groups that wait, from this thread. Returns how many.
  std::size_t release(const result<void>& r) {
    std::vector<outcome<void>> now;
    {
      std::lock_guard guard{mutex};
      now.swap(held);
    }
    for (auto& then : now)
      then(r);
    return now.size();
  }

  std::unique_ptr<upload> begin(origin from) override {
    return std::make_unique<slow_upload>(*this, kept->begin(from));
  }
  result<object_info> head(const core::cid& c) override { return kept->head(c); }
  std::optional<result<chunk>> try_read(const core::cid& c, std::uint64_t offset,
                                        std::uint64_t n) override {
    if (cold)
      return std::nullopt;
    return kept->read(c, offset, n);
  }
  result<chunk> read(const core::cid& c, std::uint64_t offset, std::uint64_t n) override {
    ++waited;
    disk.wait(false);
    return kept->read(c, offset, n);
  }
  void del(const core::cid& c, const core::tenant& t, outcome<void> then) override {
    kept->del(c, t, std::move(then));
  }
  void pin(const core::cid& c, outcome<object_info> then) override {
    kept->pin(c, std::move(then));
  }
  void unpin(const core::cid& c, outcome<object_info> then) override {
    kept->unpin(c, std::move(then));
  }
  result<object_page> pins(const std::optional<core::cid>& after, std::size_t n) override {
    return kept->pins(after, n);
  }
  result<scrub_step> scrub(const scrub_place& from, std::uint64_t n) override {
    return kept->scrub(from, n);
  }
  void set_replication(const replication_mode& m) override { kept->set_replication(m); }
  result<std::vector<work_item>> work(const std::optional<core::cid>& after,
                                      std::size_t n) override {
    return kept->work(after, n);
  }
  result<std::vector<work_item>> releases(const std::optional<core::cid>& after,
                                          std::size_t n) override {
    return kept->releases(after, n);
  }
  void settle(const settlement& s, outcome<void> then) override {
    kept->settle(s, std::move(then));
  }
  void walk(const walk_order& o, outcome<walk_state> then) override {
    kept->walk(o, std::move(then));
  }
  void identify(outcome<store_id> then) override { kept->identify(std::move(then)); }
  void keep(const core::cid& c, const store_id& node, outcome<bool> then) override {
    kept->keep(c, node, std::move(then));
  }
  void release(const core::cid& c, const store_id& node, bool needed,
               outcome<void> then) override {
    kept->release(c, node, needed, std::move(then));
  }
  void maintain() override { ++maintained; }
  backend_load load() const noexcept override {
    auto out = kept->load();
    out.pending_bytes = pending;
    return out;
  }
  storage_stats stats() override { return kept->stats(); }
  void set_limits(std::uint64_t, std::uint64_t) override {
    // nop
  }

  std::unique_ptr<backend> kept;
  std::mutex mutex;
  std::vector<outcome<void>> held;
  std::atomic<std::uint64_t> pending{0};
  std::atomic<bool> cold{false};
  std::atomic<bool> disk{true}; ///< false: reads wait
  std::atomic<int> waited{0};
  std::atomic<int> maintained{0};
};

struct StorageActor : ShardFixture {
  StorageActor() { start(make_ram_backend(64u << 20, clock)); }

  void start(std::shared_ptr<backend> with, storage_limits limits = {}) {
    db = std::move(with);
    pool = std::make_shared<core::helper_pool>("storage-read", 1, 2);
    storage_parts parts{db, pool, limits, scrub};
    a = spawn(0, make_storage, parts);
    b = spawn(1, make_storage, parts);
  }
  slow_backend& start_slow(storage_limits limits = {}) {
    auto slow = std::make_shared<slow_backend>(clock);
    start(slow, limits);
    return *slow;
  }

  result<std::uint64_t> open(std::optional<core::cid> expected = {}, bool expired = false) {
    open_put o{tenant_of(1), expected,
               std::chrono::steady_clock::now() + (expired ? 20ms : 60'000ms)};
    auto h = ask<put_handle>(a, o);
    if (!h)
      return std::unexpected{h.error()};
    return h->id;
  }
  result<atom::ok> write(std::uint64_t id, byte_view v) {
    return ask<atom::ok>(a, put_write{id, bytes::copy(v)});
  }
  result<put_result> commit(std::uint64_t id) { return ask<put_result>(a, put_commit{id}); }
  result<put_result> put_all(byte_view data, std::size_t piece = 50'000) {
    auto id = open();
    if (!id)
      return std::unexpected{id.error()};
    for (std::size_t at = 0; at < data.size(); at += piece)
      if (auto ok = write(*id, data.subspan(at, std::min(piece, data.size() - at))); !ok)
        return std::unexpected{ok.error()};
    return commit(*id);
  }
  result<chunk> read(const storage_actor& from, const core::cid& c, std::uint64_t offset,
                     std::uint32_t n = 65'536) {
    return ask<chunk>(from, read_object{c, offset, n});
  }
  /// The answer of a write that may have to wait for credit.
  std::future<result<atom::ok>> write_later(std::uint64_t id, byte_view v) {
    return std::async(std::launch::async,
                      [this, id, data = bytes::copy(v)] { return write(id, data.view()); });
  }

  core::system_clock clock;
  std::shared_ptr<scrubber> scrub;
  std::shared_ptr<backend> db;
  std::shared_ptr<core::helper_pool> pool;
  storage_actor a;
  storage_actor b;
};

TEST_F(StorageActor, PutsOnOneShardAndReadsOnAnother) {
  auto data = noise(300'000, 1);
  auto r = put_all(data);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->cid, b3::cid_of(data));
  EXPECT_EQ(ask<object_info>(b, head_object{r->cid})->size, data.size());
  byte_vector back;
  while (back.size() < data.size()) {
    auto c = read(b, r->cid, back.size());
    ASSERT_TRUE(c);
    EXPECT_EQ(c->object_size, data.size());
    back.insert(back.end(), c->data.data(), c->data.data() + c->data.size());
  }
  EXPECT_TRUE(back == data);
  EXPECT_EQ(read(b, r->cid, data.size()).error().code, ec::range_not_satisfiable);
  auto s = ask<storage_stats>(a, atom::status_v);
  ASSERT_TRUE(s);
  EXPECT_EQ(s->objects, 1u);
}

TEST_F(StorageActor, WorksOnLmdb) {
  temporary_folder folder;
  start(open_lmdb(lmdb_options(folder), clock));
  auto data = noise(1'500'000, 1);
  auto r = put_all(data);
  ASSERT_TRUE(r) << r.error().message;
  auto c = read(b, r->cid, 1'000'000, 100);
  ASSERT_TRUE(c);
  EXPECT_EQ(std::memcmp(c->data.data(), data.data() + 1'000'000, c->data.size()), 0);
  EXPECT_TRUE(put_all(data)->existed);
  EXPECT_EQ(ask<object_info>(a, pin_object{r->cid})->pins, 1u);
  EXPECT_EQ(ask<atom::ok>(b, del_object{r->cid, tenant_of(1)}).error().code, ec::conflict);
  EXPECT_EQ(ask<object_info>(b, unpin_object{r->cid})->pins, 0u);
  EXPECT_TRUE(ask<atom::ok>(b, del_object{r->cid, tenant_of(1)}));
  EXPECT_EQ(ask<object_info>(a, head_object{r->cid}).error().code, ec::not_found);
}

TEST_F(StorageActor, RefusesOtherBytesThanAnnounced) {
  auto data = noise(1'000, 1);
  auto id = open(b3::cid_of(data));
  ASSERT_TRUE(write(*id, byte_view{data}.first(999)));
  EXPECT_EQ(commit(*id).error().code, ec::digest_mismatch);
  EXPECT_EQ(commit(*id).error().code, ec::timeout) << "the upload is gone";
  EXPECT_EQ(db->stats().reserved, 0u);
  id = open(b3::cid_of(data));
  ASSERT_TRUE(write(*id, data));
  EXPECT_TRUE(commit(*id));
}

TEST_F(StorageActor, EndsAnUploadThatIsTooLarge) {
  start(make_ram_backend(0, clock), {.object_bytes_max = 100'000});
  auto id = open();
  EXPECT_TRUE(write(*id, noise(100'000, 1)));
  EXPECT_EQ(write(*id, noise(1, 1)).error().code, ec::body_cap);
  EXPECT_EQ(commit(*id).error().code, ec::timeout);
  EXPECT_EQ(db->stats().puts_open, 0u);
}

TEST_F(StorageActor, TellsTheWriterThatTheQuotaIsReached) {
  start(make_ram_backend(200'000, clock));
  EXPECT_EQ(put_all(noise(1'000'000, 1)).error().code, ec::store_quota);
  EXPECT_EQ(db->stats().reserved, 0u);
  EXPECT_TRUE(put_all(noise(100'000, 1)));
}

TEST_F(StorageActor, BoundsOpenUploads) {
  start(make_ram_backend(0, clock), {.puts_max = 3});
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back(*open());
  EXPECT_EQ(open().error().code, ec::busy);
  EXPECT_TRUE(ask<atom::ok>(a, put_abort{ids[0]}));
  EXPECT_TRUE(ask<atom::ok>(a, put_abort{ids[0]})) << "no error";
  EXPECT_TRUE(open());
}

TEST_F(StorageActor, CollectsUploadsThatNobodyWritesTo) {
  start(make_ram_backend(0, clock), {.put_idle = 50ms, .tick = 5ms});
  auto id = open();
  ASSERT_TRUE(write(*id, noise(200'000, 1)));
  EXPECT_TRUE(eventually([&] { return db->load().puts_open == 0; }));
  EXPECT_EQ(write(*id, noise(1, 1)).error().code, ec::timeout);
  EXPECT_EQ(db->stats().reserved, 0u);
}

TEST_F(StorageActor, CollectsUploadsPastTheirDeadline) {
  start(make_ram_backend(0, clock), {.tick = 5ms});
  ASSERT_TRUE(open({}, true));
  EXPECT_TRUE(eventually([&] { return db->load().puts_open == 0; }));
}

TEST_F(StorageActor, FreesItsUploadsWhenItDies) {
  ASSERT_TRUE(open());
  EXPECT_EQ(db->load().puts_open, 1u);
  core::end(caf::actor_cast<caf::strong_actor_ptr>(a), caf::exit_reason::kill);
  EXPECT_TRUE(eventually([&] { return db->load().puts_open == 0; }));
}

TEST_F(StorageActor, HoldsCreditBackWhileTheStoreIsBehind) {
  auto& slow = start_slow({.put_window = 200'000});
  auto id = open();
  auto data = noise(1'000'000, 1);
  ASSERT_TRUE(write(*id, byte_view{data}.first(150'000))) << "two groups on their way";
  auto late = write_later(*id, byte_view{data}.subspan(150'000, 150'000));
  EXPECT_EQ(late.wait_for(50ms), std::future_status::timeout) << "four groups on their way";
  EXPECT_EQ(slow.release({}), 4u);
  EXPECT_TRUE(late.get());
  slow.pending = 100u << 20;
  auto alone = write_later(*id, byte_view{data}.subspan(300'000, 1));
  EXPECT_TRUE(alone.get()) << "one piece of everybody always has room";
  auto behind = write_later(*id, byte_view{data}.subspan(300'001, 100'000));
  EXPECT_EQ(behind.wait_for(50ms), std::future_status::timeout) << "others fill the store";
  slow.release({});
  EXPECT_TRUE(behind.get());
  auto r = commit(*id);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->cid, b3::cid_of(byte_view{data}.first(400'001)));
}

TEST_F(StorageActor, TellsAWaitingWriterThatTheDiskFailed) {
  auto& slow = start_slow({.put_window = 1});
  auto id = open();
  auto late = write_later(*id, noise(100'000, 1));
  ASSERT_TRUE(eventually([&] {
    std::lock_guard guard{slow.mutex};
    return slow.held.size() == 1;
  }));
  slow.release(fail(ec::disk_full, "no space"));
  EXPECT_EQ(late.get().error().code, ec::disk_full);
  EXPECT_EQ(commit(*id).error().code, ec::timeout);
}

TEST_F(StorageActor, EndsAnUploadWhosePiecesOverlap) {
  auto& slow = start_slow({.put_window = 1});
  auto id = open();
  auto late = write_later(*id, noise(100'000, 1));
  ASSERT_TRUE(eventually([&] {
    std::lock_guard guard{slow.mutex};
    return slow.held.size() == 1;
  }));
  EXPECT_EQ(write(*id, noise(1, 1)).error().code, ec::bad_request);
  EXPECT_EQ(late.get().error().code, ec::bad_request);
  slow.release({});
  EXPECT_EQ(commit(*id).error().code, ec::timeout);
}

TEST_F(StorageActor, ReadsColdBytesOnAHelperAndBoundsThem) {
  auto& slow = start_slow();
  auto data = noise(1'000, 1);
  auto r = put_all(data);
  ASSERT_TRUE(r);
  slow.cold = true;
  EXPECT_TRUE(read(a, r->cid, 0));
  EXPECT_EQ(slow.waited, 1);
  slow.disk = false;
  // One read waits for the disk, two wait for the helper thread, the fourth is refused.
  std::vector<std::future<result<chunk>>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(
      std::async(std::launch::async, [&] { return read(a, r->cid, 0); }));
    ASSERT_TRUE(eventually([&] {
      auto s = pool->stats();
      return slow.waited == 2 && s.waiting == static_cast<std::size_t>(i);
    }));
  }
  EXPECT_EQ(read(b, r->cid, 0).error().code, ec::busy);
  EXPECT_TRUE(ask<object_info>(a, head_object{r->cid})) << "the shard is not blocked";
  slow.disk = true;
  slow.disk.notify_all();
  for (auto& f : waiting)
    EXPECT_TRUE(f.get());
}

/// Of a pool that had no job before: it was in the line, and is no more.
bool has_taken_one(const core::helper_pool_stats& s) {
  return s.high_water == 1 && s.waiting == 0;
}

TEST_F(StorageActor, AShardGoesOnWhileTheDiskDoesNotAnswer) {
  const auto folder = folder_in_memory();
  lmdb_backend_options options;
  options.path = folder + "/db";
  options.map_bytes = 64u << 20;
  options.readers_max = 8;
  const auto data = noise(3 * b3::group_bytes, 1);
  const auto c = put(*open_lmdb(options, clock), data)->cid;
  start(open_lmdb(options, clock));
  hung_pages disk{options.path + "/data.mdb"};
  auto head = std::async(std::launch::async, [&] { return ask<object_info>(a, head_object{c}); });
  // The one helper thread has it, and two more wait for that.
  ASSERT_TRUE(eventually([&] { return has_taken_one(pool->stats()); }));
  auto bytes = std::async(std::launch::async, [&] { return read(a, c, 70'000); });
  auto pins = std::async(std::launch::async, [&] { return ask<object_page>(a, list_pins{}); });
  ASSERT_TRUE(eventually([&] { return pool->stats().waiting == 2; }));
  EXPECT_EQ(ask<object_info>(a, head_object{c}).error().code, ec::busy);
  EXPECT_TRUE(open()) << "the shard is not blocked";
  disk.go_on();
  EXPECT_EQ(head.get()->size, data.size());
  EXPECT_EQ(std::memcmp(bytes.get()->data.data(), data.data() + 70'000, 1'000), 0);
  EXPECT_TRUE(pins.get()->items.empty());
  EXPECT_EQ(db->stats().reads_cold, 3u) << "the one that was refused as well";
  EXPECT_EQ(ask<object_info>(a, head_object{c})->size, data.size());
  EXPECT_TRUE(read(a, c, 0));
  EXPECT_EQ(db->stats().reads_cold, 3u) << "in memory";
  fs::remove_all(folder);
}

TEST_F(StorageActor, ScrubsWhenAskedOnWhateverShard) {
  EXPECT_EQ(ask<scrub_status>(a, scrub_store{true}).error().code, ec::degraded) << "has none";
  temporary_folder folder;
  scrub = std::make_shared<scrubber>(clock);
  start(open_lmdb(lmdb_options(folder), clock), {.tick = 5ms});
  auto data = noise(5 * b3::group_bytes, 1);
  ASSERT_TRUE(put_all(data));
  EXPECT_EQ(ask<scrub_status>(b, scrub_store{})->pass, 0u);
  for (std::uint64_t pass = 1; pass <= 3; ++pass) {
    EXPECT_EQ(ask<scrub_status>(pass % 2 == 0 ? a : b, scrub_store{true})->pass, pass);
    ASSERT_TRUE(eventually([&] { return !scrub->status().running; }));
    auto s = ask<scrub_status>(a, scrub_store{});
    EXPECT_EQ(s->groups, 5u);
    EXPECT_EQ(s->bytes, data.size());
    EXPECT_EQ(s->corrupt, 0u);
  }
}

TEST_F(StorageActor, MaintainsTheStoreNowAndThen) {
  auto& slow = start_slow({.tick = 1ms});
  EXPECT_TRUE(eventually([&] { return slow.maintained > 1; }));
}

} // namespace
