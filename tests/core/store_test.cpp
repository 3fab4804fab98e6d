#include "core/store/residency.hpp"
#include "core/store/write_queue.hpp"
#include "store_fixture.hpp"

#include <algorithm>
#include <fstream>
#include <random>
#include <semaphore>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace ron::test;

struct Store : StoreFixture {};

// -- keys -------------------------------------------------------------------------------------

TEST(StoreKey, SortsAsTheNumbersDo) {
  auto less = [](const key& a, const key& b) {
    return std::ranges::lexicographical_compare(a.view(), b.view());
  };
  EXPECT_TRUE(less(key::of(std::uint64_t{1}), key::of(std::uint64_t{256})));
  EXPECT_TRUE(less(key::of(std::uint64_t{1}, std::uint32_t{~0u}), key::of(std::uint64_t{2}, 0u)));
  auto k = key::of(std::uint64_t{0x0102030405060708}, std::uint32_t{9}, std::uint8_t{255});
  EXPECT_EQ(k.view().size(), 13u);
  EXPECT_EQ(load<std::uint64_t>(k), 0x0102030405060708u);
  EXPECT_EQ(load<std::uint32_t>(k, 8), 9u);
  EXPECT_EQ(load<std::uint8_t>(k, 12), 255);
  EXPECT_EQ(load<std::uint8_t>(k, 13), 0) << "beyond the end";
  EXPECT_TRUE(starts_with(k, key::of(std::uint32_t{0x01020304})));
  EXPECT_FALSE(starts_with(k, text("x")));
}

TEST(StoreKey, CutsWhatIsTooLongAndSaysSo) {
  key k;
  k.add(std::string(key_bytes_max, 'a'));
  EXPECT_FALSE(k.overlong());
  k.add(std::uint8_t{1});
  EXPECT_TRUE(k.overlong());
  EXPECT_EQ(k.view().size(), key_bytes_max);
}

// -- queue ------------------------------------------------------------------------------------

write_job job_of(std::uint64_t source, std::size_t n = 10) {
  return {source, n, false, {}, {}};
}

TEST(StoreWriteQueue, SourcesTakeTurnsAndKeepTheirOrder) {
  write_queue q{{}};
  for (auto [source, n] : {std::pair{1, 11}, {1, 12}, {1, 13}, {2, 21}, {3, 31}, {2, 22}}) {
    auto j = job_of(static_cast<std::uint64_t>(source), static_cast<std::size_t>(n));
    ASSERT_TRUE(q.push(j));
  }
  std::vector<std::size_t> order;
  while (auto j = q.pop(0, 1'000))
    order.push_back(j->bytes);
  EXPECT_EQ(order, (std::vector<std::size_t>{11, 21, 31, 12, 22, 13}));
  EXPECT_TRUE(q.empty());
  EXPECT_EQ(q.bytes(), 0u);
}

TEST(StoreWriteQueue, IsBoundedByCountAndByBytes) {
  write_queue q{{.jobs_max = 3, .bytes_max = 100}};
  auto big = job_of(1, 500);
  EXPECT_TRUE(q.push(big)) << "alone it is taken";
  auto small = job_of(1, 1);
  EXPECT_FALSE(q.push(small)) << "bytes";
  EXPECT_TRUE(q.pop(0, 1));
  for (int i = 0; i < 3; ++i) {
    auto j = job_of(1, 1);
    EXPECT_TRUE(q.push(j));
  }
  EXPECT_FALSE(q.push(small)) << "count";
  EXPECT_EQ(q.size(), 3u);
}

TEST(StoreWriteQueue, EndsABatchBeforeItIsTooLarge) {
  write_queue q{{}};
  for (int i = 0; i < 2; ++i) {
    auto j = job_of(1, 60);
    ASSERT_TRUE(q.push(j));
  }
  EXPECT_TRUE(q.pop(0, 100));
  EXPECT_FALSE(q.pop(60, 100));
  EXPECT_TRUE(q.pop(40, 100));
}

// -- environment ------------------------------------------------------------------------------

TEST_F(Store, KeepsWhatWasAcknowledged) {
  open();
  ASSERT_TRUE(put("a", "1"));
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "not_found");
  close();
  open();
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(fs::status(root + "/db").permissions(), fs::perms::owner_all);
}

TEST_F(Store, BelongsToOneProcess) {
  open();
  auto second = environment::open(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, open_failure::in_use);
}

TEST_F(Store, RefusesAFormatItCannotRead) {
  auto newer = options();
  newer.format = 3;
  newer.min_reader = 2;
  open(newer);
  close();
  auto old = environment::open(options());
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().kind, open_failure::too_new);
  EXPECT_NE(old.error().message.find("format 3"), std::string::npos) << old.error().message;
  auto good_enough = options();
  good_enough.format = 2;
  open(good_enough);
}

TEST_F(Store, MigratesAfterACopy) {
  open();
  ASSERT_TRUE(put("a", "old"));
  close();
  auto newer = options();
  newer.format = 2;
  EXPECT_FALSE(environment::open(newer)) << "no way from 1 to 2 is known";
  newer.migrate = [](transaction&, std::uint32_t) { return fail(ec::internal, "power cut"); };
  EXPECT_FALSE(environment::open(newer));
  newer.migrate = [](transaction& t, std::uint32_t from) {
    return from == 1 ? t.put(data, text("a"), text("new")) : fail(ec::internal, "from?");
  };
  open(newer);
  EXPECT_EQ(get("a"), "new");
  close();
  EXPECT_FALSE(fs::exists(root + "/db/before-1.partial"));
  auto copy = options();
  copy.path = root + "/db/before-1";
  open(copy);
  EXPECT_EQ(get("a"), "old");
}

TEST_F(Store, ViewsAreBoundedAndConsistent) {
  open();
  ASSERT_TRUE(put("a", "1"));
  std::vector<read_view> held;
  for (std::uint32_t i = 0; i < options().readers_max; ++i) {
    auto v = env->read();
    ASSERT_TRUE(v);
    held.push_back(std::move(*v));
  }
  auto more = env->read();
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ec::busy);
  ASSERT_TRUE(put("a", "2"));
  EXPECT_EQ(string(*held[0].get(data, text("a"))), "1");
  held.clear();
  EXPECT_EQ(get("a"), "2");
}

TEST_F(Store, CursorsWalkBothWays) {
  open();
  ASSERT_TRUE(write([](transaction& t) {
    for (auto k : {"b", "d", "f"})
      if (auto ok = t.put(data, text(k), text("x")); !ok)
        return ok;
    return t.put(other, text("c"), text("y"));
  }));
  auto view = env->read();
  ASSERT_TRUE(view);
  auto c = view->scan(data);
  std::string seen;
  for (bool ok = c.first(); ok; ok = c.next())
    seen += string(c.key());
  EXPECT_EQ(seen, "bdf");
  EXPECT_TRUE(c.status());
  ASSERT_TRUE(c.seek(text("c")));
  EXPECT_EQ(string(c.key()), "d");
  ASSERT_TRUE(c.prev());
  EXPECT_EQ(string(c.key()), "b");
  EXPECT_FALSE(c.prev());
  EXPECT_FALSE(c.seek(text("g")));
  ASSERT_TRUE(c.last());
  EXPECT_EQ(string(c.value()), "x");
}

TEST_F(Store, KnowsWhatIsInMemory) {
  open();
  ASSERT_TRUE(put("a", std::string(60'000, 'v')));
  auto view = env->read();
  auto v = view->get(data, text("a"));
  ASSERT_TRUE(v);
  EXPECT_TRUE(resident(*v)) << "just written";
  EXPECT_TRUE(resident({}));
}

/// True if the kernel was told to read no more of the mapped file than what is touched (proc(5)).
bool read_page_by_page(const std::string& path) {
  std::ifstream maps{"/proc/self/smaps"};
  bool here = false;
  for (std::string line; std::getline(maps, line);)
    if (line.ends_with(path))
      here = true;
    else if (here && line.starts_with("VmFlags:"))
      return line.find(" rr") != line.npos;
  ADD_FAILURE() << path << " is not mapped";
  return false;
}

TEST_F(Store, ReadsAroundAPageUnlessToldNotTo) {
  const auto path = fs::canonical(root).string() + "/db/data.mdb";
  open();
  EXPECT_FALSE(read_page_by_page(path));
  close();
  auto with = options();
  with.read_around = false;
  open(std::move(with));
  EXPECT_TRUE(read_page_by_page(path));
}

// -- kill -9 ----------------------------------------------------------------------------------

/// The child: writes numbered records and reports each one in the pipe when it was acknowledged.
[[noreturn]] void write_until_killed(environment_options options, int pipe, std::uint64_t first) {
  auto env = environment::open(std::move(options));
  if (!env)
    ::_exit(3);
  constexpr std::ptrdiff_t jobs_max = 64;
  std::counting_semaphore<jobs_max> room{jobs_max}; // whoever tried again and again kept the writer
  writer log{**env, {.queue = {.jobs_max = jobs_max}}}; // from its own mutex
  for (auto n = first;; ++n) {
    room.acquire();
    log.submit({n % 5, 8, false,
                [n](transaction& t) {
                  std::string value(n % 3'000, static_cast<char>('a' + n % 26));
                  return t.put(data, key::of(n), text(value));
                },
                [n, pipe, &room](result<void> r) {
                  if (r && ::write(pipe, &n, sizeof n) != sizeof n)
                    ::_exit(4);
                  room.release();
                }});
  }
}

/// The numbers that come out of the pipe: at least `enough` before the kill, then what is left.
std::vector<std::uint64_t> acknowledged(pid_t child, int pipe, std::size_t enough) {
  std::vector<std::uint64_t> out;
  bool killed = false;
  for (;;) {
    std::uint64_t n = 0;
    if (::read(pipe, &n, sizeof n) != sizeof n)
      break;
    out.push_back(n);
    if (!killed && out.size() >= enough) {
      ::kill(child, SIGKILL);
      killed = true;
    }
  }
  if (!killed)
    ::kill(child, SIGKILL);
  return out;
}

TEST_F(Store, KeepsEveryAcknowledgedItemThroughKill9) {
  auto seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::printf("seed %u\n", seed);
  std::mt19937 rng{seed};
  std::uint64_t first = 0;
  std::vector<std::uint64_t> all;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(options(), ends[1], first);
    }
    ::close(ends[1]);
    auto acked = acknowledged(child, ends[0], 1 + rng() % 1'500);
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    ASSERT_FALSE(acked.empty());
    all.insert(all.end(), acked.begin(), acked.end());
    first = *std::ranges::max_element(all) + 1'000;
    open();
    auto view = env->read();
    ASSERT_TRUE(view);
    for (auto n : all) {
      auto v = view->get(data, key::of(n));
      ASSERT_TRUE(v) << "round " << round << " item " << n;
      ASSERT_EQ(string(*v), std::string(n % 3'000, static_cast<char>('a' + n % 26)));
    }
    { auto gone = std::move(*view); }
    close();
  }
}

} // namespace
