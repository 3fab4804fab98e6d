#include "core/store/copy.hpp"
#include "core/store/logged_store.hpp"
#include "mailbox/verify.hpp"
#include "mailbox_fixture.hpp"
#include "old_seal.hpp"

#include <algorithm>
#include <deque>
#include <fstream>
#include <functional>
#include <map>

/// Stores that an earlier version of the program has left.
namespace {

using namespace ron::test;
namespace store = core::store;

core::byte_view text(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// A store of format 2: five messages, two with a state of their own, one with a remembered send,
/// and two more messages, a state and the end of a message that are in its log only.
struct MailFormat : ::testing::Test {
  test_folder folder;
  core::manual_clock clock;
  std::unique_ptr<journal> kept;
  std::deque<mail_body> bodies;            ///< what changes refer to
  std::deque<remembered_send> remembered; ///< the same
  std::vector<std::string> damage;
  std::map<std::string, std::uint64_t> counts;

  std::string path() const { return folder.path + "/mail"; }

  store::environment_options old_environment() const {
    store::environment_options o;
    o.path = path();
    o.map_bytes = 256u << 20;
    o.tables = layout::table_names();
    o.format = o.min_reader = 2;
    return o;
  }
  static std::string payload_of(std::uint64_t seq) { return "payload of " + std::to_string(seq); }
  keep_mail mail_of(std::uint64_t seq) {
    auto& body = bodies.emplace_back();
    body.id = std::to_string(seq);
    body.payload = core::bytes::copy(std::string_view{payload_of(seq)});
    return {static_cast<bucket>(seq % 2), seq, "t", &body, {}};
  }
  static keep_state state_of(std::uint64_t seq, std::uint32_t attempts) {
    keep_state s;
    s.in = static_cast<bucket>(seq % 2);
    s.seq = seq;
    s.state.attempts = attempts;
    s.state.nonce = 0x6e6f6e6365000000 + seq;
    return s;
  }
  keep_send send_of(std::uint8_t n) {
    auto& what = remembered.emplace_back();
    what.caller = "caller " + std::to_string(n);
    what.message_id = "id";
    return {0, {n}, &what};
  }

  void put_old(store::logged_store& db, const std::vector<change>& changes, std::uint64_t seq) {
    store::log_job job;
    for (const auto& c : changes)
      layout::add_steps(job.steps, c, layout::time_frame{clock});
    layout::add_seq(job.steps, seq);
    if (seq == 5)
      job.steps.add(store::log_op::put, layout::counters, text("topics"),
                    store::key::of(std::uint64_t{1}, std::uint64_t{2}));
    job.entries.push_back({job.steps.size(), 0});
    std::promise<result<void>> done;
    job.then = [&](result<void> r, std::span<const std::size_t>) { done.set_value(std::move(r)); };
    db.submit(std::move(job));
    ASSERT_TRUE(done.get_future().get());
  }
  void SetUp() override {
    store::logged_store_options o;
    o.environment = old_environment();
    o.end_value = old_seal;
    o.idle = 1h;
    auto db = store::logged_store::open(std::move(o), nullptr);
    ASSERT_TRUE(db) << db.error().message;
    put_old(**db, {mail_of(1), mail_of(2), mail_of(3), mail_of(4), mail_of(5), state_of(2, 20),
                   state_of(3, 30), send_of(1), send_of(2)}, 5);
    ASSERT_TRUE((*db)->settle());
    put_old(**db, {mail_of(6), mail_of(7), state_of(6, 60), forget_mail{0, 4}}, 7);
    // As a crash leaves it: with a log that has not been brought over.
    const auto copy = folder.path + "/crashed";
    fs::copy(path(), copy);
    db->reset();
    fs::remove_all(path());
    fs::remove(copy + "/lock.mdb");
    fs::rename(copy, path());
  }
  /// Changes a byte of the one `what` in the data.
  void damage_at(std::string_view what) {
    std::fstream f{path() + "/data.mdb", std::ios::in | std::ios::out | std::ios::binary};
    std::string all{std::istreambuf_iterator<char>{f}, {}};
    const auto at = all.find(what);
    ASSERT_NE(at, all.npos);
    f.seekp(static_cast<std::streamoff>(at));
    f.put(static_cast<char>(what[0] ^ 0x20));
  }
  void open() {
    kept.reset();
    kept = open_journal(folder, clock);
  }
  /// Attempts by number, and who sent what is remembered.
  using found = std::pair<std::map<std::uint64_t, std::uint32_t>, std::vector<std::string>>;
  found all() {
    found out;
    for (read_place at; !at.done;) {
      auto page = kept->read({}, at);
      if (!page)
        throw std::runtime_error(page.error().message);
      for (const auto& m : page->mail) {
        EXPECT_EQ(m.body.payload.text(), payload_of(m.seq));
        out.first[m.seq] = m.state.attempts;
      }
      for (const auto& [in, s] : page->sends)
        out.second.push_back(s.what.caller);
      at = page->next;
    }
    return out;
  }
  result<void> verify(const std::string& where) {
    store::check_log log;
    damage.clear();
    log.damaged = [this](const std::string& line) { damage.push_back(line); };
    log.passed = [](std::uint64_t) {};
    auto ok = verify_store(where, clock, log);
    counts = log.counts;
    return ok;
  }
  /// Opens it as a newer program would, until a power cut before its commit. Returns the format
  /// that it found.
  std::uint32_t begin_migration() {
    std::uint32_t out = 0;
    auto o = old_environment();
    o.format = o.min_reader = layout::format + 1;
    o.migrate = [&out](store::transaction&, std::uint32_t old_format) {
      out = old_format;
      return core::fail(ec::internal, "power cut");
    };
    EXPECT_FALSE(store::environment::open(std::move(o)));
    return out;
  }
};

const MailFormat::found whole{{{1, 0}, {2, 20}, {3, 30}, {5, 0}, {6, 60}, {7, 0}},
                              {"caller 1", "caller 2"}};

TEST_F(MailFormat, WhatFormatTwoKeptIsThereWithWhatItsLogHad) {
  for (int life = 0; life < 2; ++life) {
    open();
    EXPECT_EQ(all(), whole);
    EXPECT_EQ(kept->damaged(), 0u);
    EXPECT_EQ(kept->last_seq(), 7u);
  }
  ASSERT_TRUE(write(*kept, {mail_of(8), state_of(1, 10), forget_mail{1, 5}}));
  open();
  EXPECT_EQ(all().first, (std::map<std::uint64_t, std::uint32_t>{
                           {1, 10}, {2, 20}, {3, 30}, {6, 60}, {7, 0}, {8, 0}}));
  kept.reset();
  ASSERT_TRUE(verify(path())) << "values of both kinds side by side";
  EXPECT_TRUE(damage.empty());
  EXPECT_EQ(counts["messages"], 6u);
}

TEST_F(MailFormat, WhatIsWrittenNowHasAChecksumBehindIt) {
  open();
  kept.reset();
  auto o = old_environment();
  o.format = o.min_reader = layout::format;
  auto env = store::environment::open(std::move(o));
  ASSERT_TRUE(env) << env.error().message;
  auto view = (*env)->wait_and_read();
  ASSERT_TRUE(view);
  auto cursor = view->scan(layout::mail);
  std::size_t old = 0;
  std::size_t now = 0;
  for (bool there = cursor.first(); there; there = cursor.next()) {
    const auto fields = cursor.value().first(cursor.value().size() - 8);
    const auto check = store::load<std::uint64_t>(cursor.value(), fields.size());
    const store::log_step s{store::log_op::put, layout::mail, cursor.key(), fields};
    old += check == old_seal(s) ? 1 : 0;
    now += check == layout::seal(s) ? 1 : 0;
  }
  EXPECT_EQ(old, 4u);
  EXPECT_EQ(now, 2u);
}

TEST_F(MailFormat, WhatWasDamagedInFormatTwoIsFoundDamaged) {
  damage_at(payload_of(1));
  damage_at("caller 2");
  damage_at(std::string{"nonce\0\0\x03", 8});
  open();
  auto left = whole;
  left.first.erase(1);
  left.first[3] = 0;
  left.second.pop_back();
  EXPECT_EQ(all(), left);
  EXPECT_EQ(kept->damaged(), 3u);
  open();
  EXPECT_EQ(all(), left);
  EXPECT_EQ(kept->damaged(), 3u) << "remembered";
}

TEST_F(MailFormat, AVerificationNamesTheDamageOfOlderValues) {
  damage_at(payload_of(1));
  open(); // nobody reads a message
  kept.reset();
  ASSERT_TRUE(verify(path()));
  EXPECT_EQ(damage, std::vector<std::string>{"message 1 of part 1: the record is damaged"});
}

TEST_F(MailFormat, AStoreIsUsedWhateverPowerCutTheCopyShort) {
  // In the middle of the copy, and after it, before the format was written.
  fs::create_directory(path() + "/before-2.partial");
  std::ofstream{path() + "/before-2.partial/data.mdb"} << "half of it";
  ASSERT_EQ(begin_migration(), 2u);
  EXPECT_TRUE(fs::exists(path() + "/before-2/data.mdb"));
  EXPECT_FALSE(fs::exists(path() + "/before-2.partial"));
  open();
  EXPECT_EQ(all(), whole);
  kept.reset();
  EXPECT_EQ(begin_migration(), 3u);
}

TEST_F(MailFormat, TheCopyOfTheOldStoreHasItsLog) {
  open();
  kept.reset();
  fs::copy(path() + "/before-2", folder.path + "/back");
  fs::remove_all(path());
  fs::rename(folder.path + "/back", path());
  ASSERT_EQ(begin_migration(), 2u);
  open();
  EXPECT_EQ(all(), whole);
}

TEST_F(MailFormat, OlderStoresAndProgramsAreToldWhatToDo) {
  const auto copy = folder.path + "/copy";
  ASSERT_TRUE(store::copy_environment(path(), copy));
  for (const auto& where : {path(), copy}) {
    const auto refused = verify(where);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ec::precondition_failed);
    EXPECT_NE(refused.error().message.find("has format 2, this program reads format 3; a node of "
                                           "this version brings an older store up to date"),
              std::string::npos)
      << refused.error().message;
  }
  open();
  kept.reset();
  const auto old = store::environment::open(old_environment());
  ASSERT_FALSE(old) << "it would put what is new aside";
  EXPECT_EQ(old.error().kind, store::open_failure::too_new);
  EXPECT_TRUE(verify(path()));
}

} // namespace
