#include "core/store/key.hpp"
#include "storage/lmdb_layout.hpp"
#include "storage_fixture.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace ron::test;
namespace store = core::store;

// -- the machine -------------------------------------------------------------------------------

struct ScrubMachine : ::testing::Test {
  core::instant now{};
  scrub_limits limits{.rate = 100, .step_bytes = 1'000, .first = 600s, .period = 3'600s};
  scrub_machine m{limits, now};

  std::optional<scrub_order> next() { return m.next(now, 7); }
  void done(std::uint64_t pass, scrub_step s) { m.done(pass, s, now, 9); }
};

TEST_F(ScrubMachine, BeginsByItselfAndKeepsItsRate) {
  EXPECT_FALSE(next());
  EXPECT_EQ(m.status().pass, 0u);
  now += 600s;
  auto first = next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->bytes_max, 100u);
  EXPECT_FALSE(first->from.object);
  EXPECT_FALSE(next()) << "one step at a time";
  core::cid c;
  c.hash.fill(1);
  done(first->pass, {.next = {c, 3}, .groups = 3, .bytes = 100});
  EXPECT_FALSE(next()) << "not within the same second";
  now += 1s;
  auto second = next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->from.object, c);
  EXPECT_EQ(second->from.group, 3u);
  done(second->pass, {.finished = true, .objects = 1, .groups = 1, .bytes = 10, .corrupt = 1,
                      .damaged = {c}});
  auto s = m.status();
  EXPECT_FALSE(s.running);
  EXPECT_EQ(s.groups, 4u);
  EXPECT_EQ(s.bytes, 110u);
  EXPECT_EQ(s.damaged, std::vector{c});
  EXPECT_EQ(s.started_ms, 7);
  EXPECT_EQ(s.ended_ms, 9);
  now += 3'599s;
  EXPECT_FALSE(next());
  now += 1s;
  ASSERT_TRUE(next());
  EXPECT_EQ(m.status().pass, 2u);
  EXPECT_EQ(m.status().groups, 0u) << "counts anew";
}

TEST_F(ScrubMachine, APassThatWasAskedForIsFastAndNew) {
  now += 600s;
  auto old = next();
  m.ask(8);
  EXPECT_TRUE(m.status().asked);
  EXPECT_FALSE(next()) << "the old step is still under way";
  done(old->pass, {.finished = true, .groups = 5});
  EXPECT_TRUE(m.status().running) << "the outcome belonged to another pass";
  EXPECT_EQ(m.status().groups, 0u);
  auto order = next();
  ASSERT_TRUE(order);
  EXPECT_EQ(order->bytes_max, 1'000u);
  done(order->pass, {.groups = 1});
  ASSERT_TRUE(next()) << "at once";
}

TEST_F(ScrubMachine, TriesAFailedOrLostStepAgain) {
  m.ask(1);
  auto order = next();
  m.done(order->pass, fail(ec::busy, "not now"), now, 2);
  EXPECT_FALSE(next());
  now += 1s;
  ASSERT_TRUE(next());
  EXPECT_FALSE(next());
  m.lost();
  EXPECT_TRUE(next());
}

TEST_F(ScrubMachine, NamesABoundedNumberOfObjectsOnce) {
  m.ask(1);
  for (std::size_t i = 0; i < 2 * scrub_status::damaged_max; ++i) {
    auto order = next();
    core::cid c;
    c.hash[0] = static_cast<std::uint8_t>(i / 2);
    c.hash[1] = static_cast<std::uint8_t>(i / 2 >> 8);
    done(order->pass, {.groups = 1, .corrupt = 2, .damaged = {c, c}});
  }
  EXPECT_EQ(m.status().damaged.size(), scrub_status::damaged_max);
  EXPECT_EQ(m.status().corrupt, 4 * scrub_status::damaged_max);
  done(next()->pass, {.damaged = {core::cid{.hash = {0xff, 0xff}}}});
  EXPECT_EQ(m.status().damaged.size(), scrub_status::damaged_max);
}

// -- the back end ------------------------------------------------------------------------------

/// A whole pass in small steps.
result<scrub_step> scrub_all(backend& db, std::uint64_t bytes = 100'000) {
  scrub_step sum;
  for (;;) {
    auto s = db.scrub(sum.next, bytes);
    if (!s)
      return s;
    sum.next = s->next;
    sum.objects += s->objects;
    sum.groups += s->groups;
    sum.bytes += s->bytes;
    sum.corrupt += s->corrupt;
    sum.damaged.insert(sum.damaged.end(), s->damaged.begin(), s->damaged.end());
    if (s->finished)
      return sum;
  }
}

struct LmdbScrub : ::testing::Test {
  temporary_folder folder;
  core::manual_clock clock;
  lmdb_backend_options options = lmdb_options(folder);
  std::map<core::cid, byte_vector> objects;
  std::unique_ptr<backend> db;

  void open() { db = open_lmdb(options, clock); }
  void close() { db.reset(); }
  void fill() {
    std::uint64_t seed = 0;
    for (std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{3'000}, b3::group_bytes,
                          b3::group_bytes + 1, 4 * b3::group_bytes + 5, 9 * b3::group_bytes}) {
      auto data = noise(n, ++seed);
      auto c = put(*db, data)->cid;
      objects[c] = std::move(data);
    }
  }
  std::string file() const { return options.path + "/data.mdb"; }
  std::vector<char> bytes_of_file() const {
    std::ifstream in{file(), std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  void write_file(const std::vector<char>& bytes) const {
    std::ofstream out{file(), std::ios::binary | std::ios::trunc};
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
};

TEST_F(LmdbScrub, LooksAtEveryGroupOnce) {
  open();
  EXPECT_EQ(scrub_all(*db)->groups, 0u);
  fill();
  std::uint64_t groups = 0;
  std::uint64_t bytes = 0;
  for (const auto& [c, data] : objects) {
    groups += b3::group_count(data.size());
    bytes += std::max<std::size_t>(1, data.size());
  }
  for (std::uint64_t step : {std::uint64_t{1}, std::uint64_t{100'000}, std::uint64_t{1} << 30}) {
    auto s = scrub_all(*db, step);
    ASSERT_TRUE(s);
    EXPECT_EQ(s->objects, objects.size()) << step;
    EXPECT_EQ(s->groups, groups) << step;
    EXPECT_EQ(s->bytes, bytes) << step;
    EXPECT_EQ(s->corrupt, 0u) << step;
  }
  EXPECT_EQ(db->stats().corrupt, 0u);
  EXPECT_EQ(db->stats().scrubbed, 3 * groups);
}

TEST_F(LmdbScrub, GoesOnWhereItsObjectWasDeleted) {
  open();
  fill();
  scrub_step at;
  at.next = {objects.rbegin()->first, 0};
  ASSERT_TRUE(del(*db, objects.rbegin()->first));
  auto s = db->scrub(at.next, 1);
  ASSERT_TRUE(s);
  EXPECT_TRUE(s->finished);
  EXPECT_EQ(s->groups, 0u);
}

// -- flipped bytes -----------------------------------------------------------------------------

/// What a process found that looked at a file with one flipped byte.
enum verdict : int { unharmed = 0, served_wrong = 1, noticed = 2 };

/// Reads everything that should be there. Anything but the right bytes or an error is wrong.
verdict look(const lmdb_backend_options& options, const std::map<core::cid, byte_vector>& objects,
             const core::cid* hit) {
  core::manual_clock clock;
  auto opened = open_lmdb_backend(options, clock);
  if (!opened)
    return noticed;
  auto& db = **opened;
  auto out = unharmed;
  auto scrubbed = scrub_all(db);
  for (const auto& [c, data] : objects) {
    auto info = db.head(c);
    if (!info)
      out = noticed;
    else if (info->size != data.size())
      return served_wrong;
    for (std::uint64_t at = 0; at == 0 || at < data.size(); at += b3::group_bytes) {
      auto r = db.read(c, at, b3::group_bytes);
      if (!r)
        out = noticed;
      else if (r->object_size != data.size()
               || !std::equal(r->data.data(), r->data.data() + r->data.size(),
                              data.begin() + static_cast<long>(at)))
        return served_wrong;
    }
  }
  if (hit != nullptr)
    if (!scrubbed || std::ranges::find(scrubbed->damaged, *hit) == scrubbed->damaged.end())
      return unharmed; // the scrub, too, must see it
  return out;
}

/// Looks from a process of its own: what LMDB makes of a broken page may end it.
int look_aside(const lmdb_backend_options& options, const std::map<core::cid, byte_vector>& objects,
               const core::cid* hit) {
  auto child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(look(options, objects, hit));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST_F(LmdbScrub, AFlippedByteOfTheFileIsNoticedBeforeItIsServed) {
  const char* given = std::getenv("SEED");
  const auto seed = given ? static_cast<unsigned>(std::atol(given)) : std::random_device{}();
  std::printf("SEED=%u\n", seed);
  SCOPED_TRACE("SEED=" + std::to_string(seed));
  std::mt19937 rng{seed};
  open();
  fill();
  close();
  const auto good = bytes_of_file();
  ASSERT_EQ(look(options, objects, nullptr), unharmed);
  // Where the bytes of objects lie, to know which flips must be seen.
  struct span {
    std::size_t from, size;
    core::cid cid;
  };
  std::vector<span> content;
  for (const auto& [c, data] : objects)
    for (std::size_t at = 0; at + 1'000 < data.size(); at += b3::group_bytes) {
      auto n = std::min(b3::group_bytes, data.size() - at);
      auto* first = reinterpret_cast<const char*>(data.data() + at);
      auto i = std::search(good.begin(), good.end(), std::boyer_moore_searcher(first, first + n));
      ASSERT_NE(i, good.end());
      content.push_back({static_cast<std::size_t>(i - good.begin()), n, c});
    }
  int seen = 0;
  int without_effect = 0;
  int ended = 0;
  for (int round = 0; round < 200; ++round) {
    const span* in = nullptr;
    std::size_t at = rng() % good.size();
    if (round % 2 == 0) {
      in = &content[rng() % content.size()];
      at = in->from + rng() % in->size;
    }
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 + rng() % 255));
    write_file(bad);
    auto status = look_aside(options, objects, in ? &in->cid : nullptr);
    if (WIFSIGNALED(status)) {
      ++ended;
      EXPECT_FALSE(in) << "byte " << at << " of an object: signal " << WTERMSIG(status);
      continue;
    }
    ASSERT_NE(WEXITSTATUS(status), served_wrong) << "byte " << at;
    if (in) {
      ASSERT_EQ(WEXITSTATUS(status), noticed) << "byte " << at << " of an object";
    }
    ++(WEXITSTATUS(status) == noticed ? seen : without_effect);
  }
  std::printf("200 flips: %d noticed, %d without effect, %d ended the process\n", seen,
              without_effect, ended);
  EXPECT_GE(seen, 100);
}

} // namespace
