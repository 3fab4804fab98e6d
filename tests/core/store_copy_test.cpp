#include "core/store/check.hpp"
#include "core/store/copy.hpp"
#include "core/store/snapshot.hpp"
#include "store_fixture.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <future>
#include <random>
#include <stdexcept>

namespace {

using namespace ron::test;
using ::testing::HasSubstr;

/// LMDB allows one handle per file and process, so what looks at a store in use is a process of its
/// own. It is made before this one has threads: a child of a process that has may wait for ever for
/// a lock that one of them held.
class elsewhere {
public:
  /// `work` gets the number that `run` was given; its result becomes that of `run`.
  explicit elsewhere(const std::function<int(int)>& work) {
    int ours[2];
    int theirs[2];
    if (::pipe(ours) != 0 || ::pipe(theirs) != 0 || (child_ = ::fork()) < 0)
      throw std::runtime_error("no process of its own");
    if (child_ == 0) {
      ::close(ours[0]);
      ::close(theirs[1]);
      for (int n = 0; ::read(theirs[0], &n, sizeof n) == sizeof n;)
        if (n = work(n); ::write(ours[1], &n, sizeof n) != sizeof n)
          break;
      ::_exit(0);
    }
    ::close(ours[1]);
    ::close(theirs[0]);
    in_ = ours[0];
    out_ = theirs[1];
  }
  ~elsewhere() {
    ::close(out_);
    ::close(in_);
    ::waitpid(child_, nullptr, 0);
  }
  elsewhere(const elsewhere&) = delete;
  elsewhere& operator=(const elsewhere&) = delete;

  int run(int n = 0) {
    const bool ok =
      ::write(out_, &n, sizeof n) == sizeof n && ::read(in_, &n, sizeof n) == sizeof n;
    return ok ? n : -1;
  }

private:
  pid_t child_ = -1;
  int in_ = -1;
  int out_ = -1;
};

/// 0, or the error's number.
template <class T>
int code_of(const result<T>& r) {
  return r ? 0 : static_cast<int>(r.error().code);
}

struct StoreCopy : StoreFixture {
  std::string path() const { return root + "/db"; }
  std::string copy() const { return root + "/copy"; }

  void open_copy() {
    close();
    auto o = options();
    o.path = copy();
    open(o);
  }
  void fill(int n, std::size_t size = 5'000) {
    for (int i = 0; i < n; ++i)
      ASSERT_TRUE(put("k" + std::to_string(i), std::string(size, static_cast<char>('a' + i % 26))));
  }
  void empty(int n) {
    for (int i = 0; i < n; ++i)
      ASSERT_TRUE(
        write([k = "k" + std::to_string(i)](transaction& t) { return t.del(data, text(k)); }));
  }
};

TEST_F(StoreCopy, HoldsWhatWasCommitted) {
  open();
  fill(40);
  close();
  auto bytes = copy_environment(path(), copy());
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(*bytes, fs::file_size(copy() + "/data.mdb"));
  open_copy();
  EXPECT_EQ(get("k39"), std::string(5'000, 'a' + 39 % 26));
  EXPECT_TRUE(put("more", "is written"));
}

TEST_F(StoreCopy, TakesOneMomentOfAStoreInUse) {
  elsewhere copier{
    [this](int i) { return code_of(copy_environment(path(), copy() + std::to_string(i))); }};
  open();
  ASSERT_TRUE(put("a", "0"));
  ASSERT_TRUE(put("b", "0"));
  std::atomic<bool> stop{false};
  // Every commit holds the same number twice: a copy with two numbers would be torn.
  auto writing = std::async(std::launch::async, [&] {
    int n = 0;
    while (!stop) {
      const auto now = std::to_string(++n);
      auto ok = wait(submit([&](transaction& t) -> result<void> {
        if (auto a = t.put(data, text("a"), text(now)); !a)
          return a;
        return t.put(data, text("b"), text(now));
      }));
      if (!ok)
        return 0;
    }
    return n;
  });
  std::vector<int> codes;
  for (int i = 0; i < 5; ++i)
    codes.push_back(copier.run(i));
  stop = true;
  EXPECT_GT(writing.get(), 0) << "a write failed";
  EXPECT_THAT(codes, ::testing::Each(0));
  close();
  for (int i = 0; i < 5; ++i) {
    auto o = options();
    o.path = copy() + std::to_string(i);
    open(o);
    EXPECT_EQ(get("a"), get("b"));
    close();
  }
}

TEST_F(StoreCopy, NeedsAnEmptyFolder) {
  open();
  fill(1);
  close();
  fs::create_directory(copy());
  std::ofstream{copy() + "/mine"} << "precious";
  auto r = copy_environment(path(), copy());
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::conflict);
  EXPECT_THAT(r.error().message, HasSubstr(copy()));
  EXPECT_FALSE(fs::exists(copy() + "/data.mdb"));
  EXPECT_EQ(fs::file_size(copy() + "/mine"), 8u);
}

TEST_F(StoreCopy, SaysWhatIsMissingOrNoStore) {
  auto r = copy_environment(root + "/nowhere", copy());
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::not_found);
  EXPECT_FALSE(fs::exists(copy()));
  fs::create_directory(path());
  std::ofstream{path() + "/data.mdb"} << std::string(8'192, 'x');
  r = copy_environment(path(), copy());
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::internal);
  EXPECT_TRUE(fs::is_empty(copy()));
}

TEST_F(StoreCopy, CompactingGivesRoomBack) {
  open();
  fill(400);
  empty(390);
  close();
  auto c = compact_environment(path());
  ASSERT_TRUE(c) << c.error().message;
  EXPECT_GT(c->bytes_before, 2'000'000u);
  EXPECT_LT(c->bytes_after, 200'000u);
  EXPECT_EQ(fs::file_size(path() + "/data.mdb"), c->bytes_after);
  EXPECT_FALSE(fs::exists(path() + "/data.compact"));
  open();
  EXPECT_EQ(get("k399"), std::string(5'000, 'a' + 399 % 26));
  EXPECT_EQ(get("k1"), "not_found");
  fill(3);
  EXPECT_EQ(get("k1"), std::string(5'000, 'b'));
}

TEST_F(StoreCopy, CompactingIsRefusedWhileInUse) {
  elsewhere other{[this](int) { return code_of(compact_environment(path())); }};
  open();
  fill(2);
  EXPECT_EQ(other.run(), static_cast<int>(ec::busy));
  close();
  auto guest = snapshot::open(path(), options().tables, options().format);
  ASSERT_TRUE(guest) << guest.error().message;
  EXPECT_EQ(other.run(), static_cast<int>(ec::busy));
  EXPECT_FALSE(fs::exists(path() + "/data.compact"));
}

TEST_F(StoreCopy, ASnapshotNeedsTheFormatAndTheTables) {
  open();
  fill(3);
  close();
  const auto newer = snapshot::open(path(), {"data", "other"}, 2);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, ec::precondition_failed);
  const auto strange = snapshot::open(path(), {"data", "strange"}, 1);
  ASSERT_FALSE(strange);
  EXPECT_EQ(strange.error().code, ec::internal);
  EXPECT_THAT(strange.error().message, HasSubstr("strange"));
  const auto ours = snapshot::open(path(), {"data", "other"}, 1);
  ASSERT_TRUE(ours) << ours.error().message;
  EXPECT_EQ(ours->get(data, text("k2"))->size(), 5'000u);
}

TEST_F(StoreCopy, ACheckSeesEveryEntryOnce) {
  open();
  fill(300, 50);
  close();
  auto s = snapshot::open(path(), options().tables, options().format);
  ASSERT_TRUE(s) << s.error().message;
  check_log seen_by;
  std::vector<std::string> damage;
  seen_by.damaged = [&](const std::string& line) { damage.push_back(line); };
  int seen = 0;
  check_table(*s, data, "thing", seen_by, [&](byte_view, byte_view) { ++seen; });
  EXPECT_EQ(seen, 300);
  EXPECT_THAT(damage, ::testing::IsEmpty());
}

} // namespace
