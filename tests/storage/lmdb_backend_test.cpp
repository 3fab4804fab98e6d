#include "core/store/key.hpp"
#include "storage/lmdb_layout.hpp"
#include "storage_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace ron::test;
namespace store = core::store;

/// Fails when told to.
struct switchable : store::faults {
  std::atomic<int> write_every{0}, sync_every{0}, writes{0}, syncs{0}, code{EIO};
  int on_write() noexcept override { return hit(++writes, write_every) ? code.load() : 0; }
  int on_sync() noexcept override { return hit(++syncs, sync_every) ? code.load() : 0; }
  static bool hit(int n, int every) noexcept { return every > 0 && n % every == 0; }
};

struct LmdbBackend : ::testing::Test {
  temporary_folder folder;
  core::manual_clock clock;
  switchable injected;
  lmdb_backend_options options = lmdb_options(folder);
  std::unique_ptr<backend> db = open_lmdb(options, clock, &injected);

  void close() { db.reset(); }
  void open() { db = open_lmdb(options, clock, &injected); }

  /// Works on the file behind the store's back, which is closed.
  void tamper(const std::function<result<void>(store::transaction&)>& f) {
    store::environment_options o;
    o.path = options.path;
    o.map_bytes = options.map_bytes;
    o.tables = layout::table_names();
    o.format = layout::format;
    o.min_reader = layout::min_reader;
    auto env = store::environment::open(std::move(o));
    ASSERT_TRUE(env) << env.error().message;
    store::writer log{**env};
    auto ok = wait_for<void>([&](auto then) {
      store::write_job job;
      job.apply = [&](store::transaction& t) { return f(t); };
      job.then = std::move(then);
      log.submit(std::move(job));
    });
    EXPECT_TRUE(ok) << ok.error().message;
  }
  std::size_t count(store::table table) {
    std::size_t n = 0;
    tamper([&](store::transaction& t) -> result<void> {
      auto c = t.scan(table);
      for (bool there = c.first(); there; there = c.next())
        ++n;
      return c.status();
    });
    return n;
  }
  /// True when nothing is left that belongs to no object.
  bool collected(std::uint64_t used_at_most) {
    return eventually([&] { return db->stats().map->used_bytes <= used_at_most; });
  }
};

/// Flips one bit of the value under `k`.
result<void> flip(store::transaction& t, store::table table, byte_view k, std::size_t at) {
  auto v = t.get(table, k);
  if (!v)
    return std::unexpected{v.error()};
  byte_vector copy(v->begin(), v->end());
  copy[at % copy.size()] ^= 0x20;
  return t.put(table, k, copy);
}

TEST_F(LmdbBackend, SurvivesReopening) {
  auto data = noise(500'000, 1);
  auto c = put(*db, data)->cid;
  ASSERT_TRUE(pin(*db, c));
  auto before = db->stats();
  close();
  open();
  auto after = db->stats();
  EXPECT_EQ(after.objects, 1u);
  EXPECT_EQ(after.bytes, before.bytes);
  EXPECT_EQ(db->head(c)->pins, 1u);
  EXPECT_TRUE(*get(*db, c, 0, data.size()) == data);
  close();
  EXPECT_EQ(count(layout::chunks), b3::group_count(data.size()));
  EXPECT_EQ(count(layout::objects), 1u);
  EXPECT_EQ(count(layout::loose), 0u);
  open();
  EXPECT_TRUE(put(*db, data)->existed);
}

TEST_F(LmdbBackend, NoticesFlippedBytesBeforeServingThem) {
  constexpr std::uint64_t seed = 99;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng{seed};
  struct victim {
    core::cid cid;
    byte_vector data;
    std::uint64_t number = 0;
    std::uint64_t group = 0;
    bool node = false;
    std::uint64_t index = 0; ///< of the node
  };
  std::vector<victim> victims;
  for (std::uint64_t i = 0; i < 60; ++i) {
    victim v;
    v.data = noise(2 * b3::group_bytes + rng() % (8 * b3::group_bytes), i);
    v.cid = put(*db, v.data)->cid;
    v.node = i % 2 == 1;
    v.group = rng() % b3::group_count(v.data.size());
    v.index = rng() % b3::node_count(v.data.size());
    victims.push_back(std::move(v));
  }
  close();
  tamper([&](store::transaction& t) -> result<void> {
    for (auto& v : victims) {
      auto number = layout::load(t, v.cid)->number;
      auto ok = v.node ? flip(t, layout::outboard, layout::chunk_key(number, 0),
                              v.index * b3::node_bytes + rng() % b3::node_bytes)
                       : flip(t, layout::chunks, layout::chunk_key(number, v.group), rng());
      if (!ok)
        return ok;
    }
    return {};
  });
  open();
  for (const auto& v : victims) {
    auto groups = b3::group_count(v.data.size());
    for (std::uint64_t g = 0; g < groups; ++g) {
      auto path = b3::path_of(g, groups);
      bool bad = v.node ? std::ranges::any_of(path.view(),
                                              [&](auto s) { return s.index == v.index; })
                        : g == v.group;
      auto from = g * b3::group_bytes;
      auto r = get(*db, v.cid, from, from + b3::group_size(v.data.size(), g));
      ASSERT_EQ(!r, bad) << "group " << g << (v.node ? " node" : " chunk");
      if (bad) {
        EXPECT_EQ(r.error().code, ec::bad_digest);
      } else {
        EXPECT_TRUE(std::equal(r->begin(), r->end(), v.data.begin() + static_cast<long>(from)));
      }
    }
    EXPECT_TRUE(eventually(
      [&] { return db->head(v.cid)->state == object_state::quarantined; }));
  }
  EXPECT_GE(db->stats().corrupt, victims.size());
}

TEST_F(LmdbBackend, AQuarantinedObjectIsReplacedByTheNextPut) {
  auto data = noise(5 * b3::group_bytes, 1);
  auto c = put(*db, data)->cid;
  ASSERT_TRUE(pin(*db, c));
  auto bytes = db->stats().bytes;
  close();
  tamper([&](store::transaction& t) {
    return flip(t, layout::chunks, layout::chunk_key(layout::load(t, c)->number, 3), 5);
  });
  open();
  EXPECT_FALSE(get(*db, c, 0, data.size()));
  ASSERT_TRUE(eventually([&] { return db->head(c)->state == object_state::quarantined; }));
  auto again = put(*db, data);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->existed);
  EXPECT_EQ(db->head(c)->state, object_state::complete);
  EXPECT_EQ(db->head(c)->pins, 1u) << "pins and holders stay";
  EXPECT_TRUE(*get(*db, c, 0, data.size()) == data);
  EXPECT_EQ(db->stats().bytes, bytes);
  EXPECT_EQ(db->stats().objects, 1u);
  EXPECT_TRUE(eventually([&] { return db->stats().reserved == 0; }));
  EXPECT_TRUE(collected(8 * b3::group_bytes)) << "only the new chunks are left";
}

TEST_F(LmdbBackend, DamageIsOnTheWorkListAndARepairTakesItsPlace) {
  db->set_replication({.copies = true, .others = true});
  const auto data = noise(5 * b3::group_bytes, 1);
  const auto c = put(*db, data)->cid;
  close();
  open(); // the list is durable
  EXPECT_EQ(*db->work({}, 10), (std::vector{work_item{c, duty::copy}}));
  close();
  tamper([&](store::transaction& t) {
    return flip(t, layout::chunks, layout::chunk_key(layout::load(t, c)->number, 3), 5);
  });
  open();
  db->set_replication({.copies = true, .others = true});
  EXPECT_FALSE(get(*db, c, 0, data.size()));
  const std::vector damage{work_item{c, duty::repair}};
  auto damage_noted = [&] { return *db->work({}, 10) == damage; };
  ASSERT_TRUE(eventually(damage_noted));
  ASSERT_TRUE(put(*db, data, {}, 100'000, origin::repair));
  EXPECT_EQ(db->head(c)->state, object_state::complete);
  EXPECT_EQ(db->head(c)->holders, 1u) << "a repair holds nothing";
  EXPECT_TRUE(*get(*db, c, 0, data.size()) == data);
  EXPECT_TRUE(collected(8 * b3::group_bytes)) << "only the new chunks are left";
  auto settle = [&](duty what) {
    return wait_for<void>([&](auto then) { db->settle({c, what, {}}, std::move(then)); });
  };
  ASSERT_TRUE(settle(duty::repair));
  EXPECT_EQ(*db->work({}, 10), (std::vector{work_item{c, duty::copy}})) << "still to be copied";
  ASSERT_TRUE(settle(duty::copy));
  EXPECT_TRUE(db->work({}, 10)->empty());
  // A damaged record, found by a scrub.
  close();
  tamper([&](store::transaction& t) { return flip(t, layout::objects, c.view(), 5); });
  open();
  db->set_replication({.copies = true, .others = true});
  ASSERT_TRUE(db->scrub({}, 1u << 30));
  ASSERT_TRUE(eventually(damage_noted));
  ASSERT_TRUE(put(*db, data, {}, 100'000, origin::repair));
  EXPECT_TRUE(*get(*db, c, 0, data.size()) == data);
}

TEST_F(LmdbBackend, EveryByteOfARecordIsGuarded) {
  auto data = noise(2 * b3::group_bytes, 1);
  auto c = put(*db, data)->cid;
  ASSERT_TRUE(put(*db, data, tenant_of(2)));
  std::size_t size = 0;
  close();
  tamper([&](store::transaction& t) -> result<void> {
    size = t.get(layout::objects, c.view())->size();
    return {};
  });
  for (std::size_t at = 0; at < size; ++at) {
    tamper([&](store::transaction& t) { return flip(t, layout::objects, c.view(), at); });
    open();
    EXPECT_EQ(db->head(c).error().code, ec::bad_digest) << at;
    EXPECT_EQ(db->read(c, 0, 1).error().code, ec::bad_digest) << at;
    EXPECT_EQ(del(*db, c).error().code, ec::bad_digest) << at;
    EXPECT_EQ(pin(*db, c).error().code, ec::bad_digest) << at;
    close();
    tamper([&](store::transaction& t) { return flip(t, layout::objects, c.view(), at); });
  }
  open();
  EXPECT_EQ(db->head(c)->size, data.size()) << "flipped back";
}

TEST_F(LmdbBackend, ADamagedRecordIsReplacedByTheNextPut) {
  auto data = noise(2 * b3::group_bytes, 1);
  auto c = put(*db, data)->cid;
  ASSERT_TRUE(put(*db, data, tenant_of(2)));
  auto bytes = db->stats().bytes;
  close();
  tamper([&](store::transaction& t) { return flip(t, layout::objects, c.view(), 9); });
  open();
  ASSERT_TRUE(put(*db, data)->existed);
  EXPECT_EQ(db->head(c)->holders, 2u) << "counted anew";
  EXPECT_TRUE(*get(*db, c, 0, data.size()) == data);
  EXPECT_EQ(db->stats().bytes, bytes);
  EXPECT_EQ(db->stats().objects, 1u);
  EXPECT_TRUE(del(*db, c));
  EXPECT_TRUE(del(*db, c, tenant_of(2)));
  EXPECT_EQ(db->stats().bytes, 0u);
}

TEST_F(LmdbBackend, BringsAFileOfFormat1UpToDate) {
  std::vector<core::cid> all;
  for (std::uint64_t i = 0; i < 20; ++i)
    all.push_back(put(*db, noise(100 + i, i))->cid);
  ASSERT_TRUE(pin(*db, all[3]));
  close();
  // What format 1 would have written: no check, no table of pins.
  tamper([&](store::transaction& t) -> result<void> {
    for (const auto& c : all) {
      auto v = *t.get(layout::objects, c.view());
      byte_vector old(v.begin(), v.end() - 8);
      if (auto ok = t.put(layout::objects, c.view(), old); !ok)
        return ok;
    }
    if (auto ok = t.del(layout::pins, all[3].view()); !ok)
      return ok;
    const auto meta = static_cast<store::table>(layout::table_names().size()); // after them
    return t.put(meta, store::key{}.add(std::string_view{"format"}), store::key::of(1u));
  });
  open();
  for (const auto& c : all)
    EXPECT_EQ(db->head(c)->pins, c == all[3] ? 1u : 0u);
  ASSERT_EQ(db->pins({}, 10)->items.size(), 1u);
  EXPECT_TRUE(fs::exists(options.path + "/before-1/data.mdb")) << "the old data";
  EXPECT_TRUE(del(*db, all[0]));
}

TEST_F(LmdbBackend, ALostChunkOrNodePageIsDamage) {
  auto data = noise(3 * b3::group_bytes, 1);
  auto a = put(*db, data)->cid;
  auto b = put(*db, noise(3 * b3::group_bytes, 2))->cid;
  close();
  tamper([&](store::transaction& t) {
    auto ok = t.del(layout::chunks, layout::chunk_key(layout::load(t, a)->number, 1));
    return ok ? t.del(layout::outboard, layout::chunk_key(layout::load(t, b)->number, 0)) : ok;
  });
  open();
  EXPECT_TRUE(db->read(a, 0, 1));
  EXPECT_EQ(db->read(a, b3::group_bytes, 1).error().code, ec::bad_digest);
  EXPECT_EQ(db->read(b, 0, 1).error().code, ec::bad_digest);
}

TEST_F(LmdbBackend, VerifiesOnceWhatItHolds) {
  auto c = put(*db, noise(2 * b3::group_bytes, 1))->cid;
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(db->read(c, static_cast<std::uint64_t>(i), 100));
  EXPECT_EQ(db->stats().verified, 2u) << "held from the second time on";
  EXPECT_EQ(db->stats().cache.hits, 8u);
  db->set_limits(0, 0);
  ASSERT_TRUE(db->read(c, 0, 100));
  ASSERT_TRUE(db->read(c, 0, 100));
  EXPECT_EQ(db->stats().verified, 4u) << "without a cache each time";
}

TEST_F(LmdbBackend, CollectsAbortedUploadsAndDeletedObjects) {
  ASSERT_TRUE(put(*db, noise(10, 1)));
  auto used = db->stats().map->used_bytes;
  auto data = noise(100 * b3::group_bytes, 2);
  {
    put_assembler a{data.size()};
    ASSERT_TRUE(a.add(data));
    auto to = db->begin();
    while (auto g = a.next())
      ASSERT_TRUE(wait_for<void>([&](auto then) { to->add(std::move(*g), std::move(then)); }));
    EXPECT_GT(db->stats().map->used_bytes, used + 90 * b3::group_bytes);
  }
  EXPECT_TRUE(collected(used + (256u << 10)));
  auto c = put(*db, data)->cid;
  EXPECT_GT(db->stats().map->used_bytes, used + 90 * b3::group_bytes);
  ASSERT_TRUE(del(*db, c));
  EXPECT_TRUE(collected(used + (256u << 10)));
}

TEST_F(LmdbBackend, ReadsFromDiskOnlyOnAThreadThatMayWait) {
  auto data = noise(4 * b3::group_bytes, 1);
  auto c = put(*db, data)->cid;
  close();
  auto fd = ::open((options.path + "/data.mdb").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
  open();
  // The kernel may keep pages (a RAM disk does); then the read need not wait.
  auto now = db->try_read(c, 2 * b3::group_bytes, 100);
  EXPECT_EQ(db->stats().reads_cold, now ? 0u : 1u);
  auto later = db->read(c, 2 * b3::group_bytes, 100);
  ASSERT_TRUE(later);
  EXPECT_EQ(std::memcmp(later->data.data(), data.data() + 2 * b3::group_bytes, 100), 0);
  EXPECT_TRUE(db->try_read(c, 2 * b3::group_bytes, 100)) << "held now";
}

TEST_F(LmdbBackend, FailedSyncsLoseNothingThatWasAcknowledged) {
  injected.sync_every = 3;
  std::vector<std::pair<core::cid, byte_vector>> acknowledged;
  int failed = 0;
  for (std::uint64_t i = 0; i < 30; ++i) {
    auto data = noise(1 + i * 9'000, i);
    auto r = put(*db, data);
    if (r)
      acknowledged.emplace_back(r->cid, data);
    else
      ++failed;
    if (!r) {
      EXPECT_EQ(r.error().code, ec::degraded);
    }
  }
  EXPECT_GT(failed, 5);
  EXPECT_GT(acknowledged.size(), 5u);
  injected.sync_every = 0;
  EXPECT_EQ(db->stats().objects, acknowledged.size());
  for (int round = 0; round < 2; ++round) {
    for (const auto& [c, data] : acknowledged)
      EXPECT_TRUE(*get(*db, c, 0, data.size()) == data);
    close();
    open();
  }
  EXPECT_TRUE(eventually([&] { return db->stats().reserved == 0; }));
}

TEST_F(LmdbBackend, NeverCommitsAnObjectWithAHole) {
  // Without waiting for the outcome of each group, so that groups and record share a batch.
  for (int every = 2; every <= 12; ++every) {
    auto data = noise(9 * b3::group_bytes + 100, static_cast<std::uint64_t>(every));
    put_assembler a{data.size()};
    ASSERT_TRUE(a.add(data));
    injected.writes = 0;
    injected.write_every = every;
    auto r = wait_for<put_result>([&](auto then) {
      auto to = db->begin();
      while (auto g = a.next())
        to->add(std::move(*g), [](const result<void>&) {});
      to->commit(a.finish(), tenant_of(1), std::move(then));
    });
    injected.write_every = 0;
    if (r) {
      EXPECT_TRUE(*get(*db, r->cid, 0, data.size()) == data) << every;
    } else {
      EXPECT_EQ(db->head(b3::cid_of(data)).error().code, ec::not_found) << every;
    }
  }
}

TEST_F(LmdbBackend, AFullMapRefusesPutsAndRecoversByDeletes) {
  close();
  options.path = folder.path + "/small";
  options.map_bytes = 8u << 20;
  open();
  std::vector<core::cid> kept;
  result<put_result> refused;
  for (std::uint64_t i = 0; i < 40; ++i) {
    refused = put(*db, noise(300'000, i));
    if (!refused)
      break;
    kept.push_back(refused->cid);
  }
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::store_quota);
  EXPECT_TRUE(get(*db, kept[0], 0, 300'000)) << "reads go on";
  EXPECT_TRUE(db->stats().writable) << "full, not broken";
  for (const auto& c : kept)
    EXPECT_TRUE(del(*db, c));
  EXPECT_TRUE(collected(1u << 20));
  EXPECT_TRUE(put(*db, noise(300'000, 77)));
}

TEST_F(LmdbBackend, ADiskThatIsFullSaysSo) {
  auto c = put(*db, noise(1'000, 1))->cid;
  injected.code = ENOSPC;
  injected.sync_every = 1;
  EXPECT_EQ(put(*db, noise(1'000, 2)).error().code, ec::disk_full);
  EXPECT_FALSE(db->stats().writable);
  EXPECT_TRUE(db->read(c, 0, 10));
  injected.sync_every = 0;
  EXPECT_TRUE(put(*db, noise(1'000, 2)));
  EXPECT_TRUE(db->stats().writable);
}

// -- kill -9 ----------------------------------------------------------------------------------

byte_vector object_of(std::uint64_t n) {
  std::mt19937_64 rng{n};
  return noise(rng() % 4 == 0 ? rng() % 600'000 : rng() % 9'000, n);
}

[[noreturn]] void put_until_killed(const lmdb_backend_options& options, int pipe,
                                   std::uint64_t first) {
  core::manual_clock clock;
  auto db = open_lmdb_backend(options, clock);
  if (!db)
    ::_exit(3);
  for (auto n = first;; ++n)
    if (put(**db, object_of(n)) && ::write(pipe, &n, sizeof n) != sizeof n)
      ::_exit(4);
}

TEST_F(LmdbBackend, KeepsEveryAcknowledgedObjectThroughKill9) {
  auto seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng{seed};
  std::vector<std::uint64_t> all;
  for (int round = 0; round < 15; ++round) {
    close();
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      put_until_killed(options, ends[1], static_cast<std::uint64_t>(round) * 10'000);
    }
    ::close(ends[1]);
    auto enough = 1 + rng() % 40;
    for (std::uint64_t n = 0, seen = 0; ::read(ends[0], &n, sizeof n) == sizeof n;) {
      all.push_back(n);
      if (++seen == enough)
        ::kill(child, SIGKILL);
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    open();
    for (auto n : all) {
      auto data = object_of(n);
      auto c = b3::cid_of(data);
      auto back = get(*db, c, 0, data.size());
      ASSERT_TRUE(back) << "round " << round << " object " << n << ": " << back.error().message;
      ASSERT_TRUE(*back == data) << "round " << round << " object " << n;
      ASSERT_TRUE(db->head(c)) << "also the empty one";
    }
  }
}

} // namespace
