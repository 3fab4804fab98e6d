#include "core/store/key.hpp"
#include "core/store/store_watch.hpp"
#include "mailbox/layout.hpp"
#include "mailbox_fixture.hpp"
#include "old_seal.hpp"
#include "support/stuck_disk.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <future>
#include <map>
#include <random>
#include <thread>

/// What the log in front of LMDB means for mail.
namespace {

using namespace ron::test;
namespace store = core::store;

struct JournalLog : ::testing::Test {
  test_folder folder;
  core::manual_clock clock;
  set_faults injected;
  std::unique_ptr<journal> kept;

  void open() {
    kept.reset();
    kept = open_journal(folder, clock, &injected);
  }
  static keep_mail mail_of(std::uint64_t seq, const std::string& payload = "payload") {
    mail_body body;
    body.id = std::to_string(seq);
    body.payload = core::bytes::copy(std::string_view{payload});
    return change_of(seq, std::move(body));
  }
  std::vector<std::uint64_t> there() {
    std::vector<std::uint64_t> out;
    for (read_place at; !at.done;) {
      auto page = kept->read({}, at);
      if (!page)
        throw std::runtime_error(page.error().message);
      for (const auto& m : page->mail)
        out.push_back(m.seq);
      at = page->next;
    }
    return out;
  }
  /// The folder as a crash leaves it, while nothing is being brought over.
  void crash() {
    const auto copy = folder.path + "/crashed";
    fs::copy(folder.path + "/mail", copy);
    kept.reset();
    fs::remove_all(folder.path + "/mail");
    fs::remove(copy + "/lock.mdb");
    fs::rename(copy, folder.path + "/mail");
  }
};

using seqs = std::vector<std::uint64_t>;

TEST_F(JournalLog, MailComesBackFromTheLogAfterACrash) {
  open();
  for (std::uint64_t seq : {1, 2, 3})
    ASSERT_TRUE(write(*kept, {mail_of(seq)}));
  ASSERT_TRUE(write(*kept, {forget_mail{1, 2}}));
  EXPECT_EQ(kept->stats().log.checkpoints, 0u);
  crash();
  open();
  EXPECT_EQ(there(), (seqs{1, 3}));
  EXPECT_EQ(kept->last_seq(), 3u) << "numbers are not used again";
}

TEST_F(JournalLog, WhatWasSentAndAcknowledgedNeverTouchesLmdb) {
  open();
  ASSERT_TRUE(write(*kept, {mail_of(1)}));
  EXPECT_EQ(there(), seqs{1}); // brought over
  const auto before = kept->stats().map->used_bytes;
  for (std::uint64_t seq = 2; seq < 400; ++seq)
    ASSERT_TRUE(write(*kept, {mail_of(seq, std::string(2'000, 'x'))}));
  for (std::uint64_t seq = 2; seq < 400; ++seq)
    ASSERT_TRUE(write(*kept, {forget_mail{1, seq}}));
  EXPECT_EQ(there(), seqs{1});
  EXPECT_LE(kept->stats().map->used_bytes, before + 8 * 4'096);
  crash();
  open();
  EXPECT_EQ(kept->last_seq(), 399u);
}

TEST_F(JournalLog, StartsWithAFullDiskAndServesWhatIsInItsLog) {
  open();
  ASSERT_TRUE(write(*kept, {mail_of(7)}));
  crash();
  injected.sync_code = ENOSPC;
  open();
  EXPECT_EQ(kept->last_seq(), 7u) << "though LMDB has not heard of it";
  EXPECT_EQ(there(), seqs{7});
  EXPECT_EQ(kept->stats().log.checkpoints, 0u);
  injected.sync_code = 0;
  EXPECT_EQ(there(), seqs{7});
  EXPECT_EQ(kept->stats().log.checkpoints, 1u);
  EXPECT_EQ(kept->stats().log.pending_steps, 0u);
}

TEST_F(JournalLog, ReadsWithAFullDiskWhatItWouldReadWithRoom) {
  const char* given = std::getenv("SEED"); // to replay
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("SEED=" + std::to_string(seed));
  std::mt19937_64 dice{seed};
  open();
  std::map<std::uint64_t, std::uint32_t> model; // attempts by number
  std::map<std::uint64_t, bucket> place;
  std::uint64_t last = 0;
  auto state_of = [](std::uint32_t attempts) {
    mail_state s;
    s.attempts = attempts;
    return s;
  };
  auto change_something = [&] {
    if (model.empty() || dice() % 3 == 0) {
      auto m = mail_of(++last, std::string(dice() % 3'000, 'x'));
      m.in = static_cast<bucket>(dice() % 5);
      place[last] = m.in;
      ASSERT_TRUE(write(*kept, {m}));
      model[last] = 0;
      return;
    }
    const auto at = std::next(model.begin(), static_cast<int>(dice() % model.size()));
    if (dice() % 2 == 0) {
      const keep_state next{place[at->first], at->first, state_of(at->second + 1)};
      ASSERT_TRUE(write(*kept, {next}));
      ++at->second;
    } else {
      ASSERT_TRUE(write(*kept, {forget_mail{place[at->first], at->first}}));
      model.erase(at);
    }
  };
  auto found = [&](std::size_t shares) {
    std::map<std::uint64_t, std::uint32_t> out;
    for (std::size_t i = 0; i < shares; ++i)
      for (read_place at; !at.done;) {
        auto page = kept->read({i, shares}, at);
        if (!page)
          throw std::runtime_error(page.error().message);
        for (const auto& m : page->mail) {
          EXPECT_EQ(place[m.seq] % shares, i);
          EXPECT_TRUE(out.emplace(m.seq, m.state.attempts).second) << m.seq << " twice";
        }
        at = page->next;
      }
    return out;
  };
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 150; ++i)
      ASSERT_NO_FATAL_FAILURE(change_something());
    const auto before = kept->stats().log.checkpoints;
    if (round % 2 == 0) { // no room, so all of it stays in the log
      injected.sync_code = ENOSPC;
      EXPECT_EQ(found(3), model);
      EXPECT_EQ(found(1), model);
      EXPECT_EQ(kept->stats().log.checkpoints, before);
      injected.sync_code = 0;
    } else {
      EXPECT_EQ(found(2), model);
      EXPECT_EQ(kept->stats().log.pending_steps, 0u);
    }
    if (round == 5) {
      crash();
      open();
    }
  }
}

TEST_F(JournalLog, NoticesADiskThatDoesNotAnswer) {
  const auto patience = store::store_watch::patience + 1s;
  stuck_disk disk; // outlives the journal
  auto stuck = open_journal(folder, clock, &disk);
  ASSERT_TRUE(write(*stuck, {mail_of(1)}));
  disk.stick();
  std::promise<result<void>> late;
  stuck->write(0, {mail_of(2)}, [&](result<void> r) { late.set_value(std::move(r)); });
  stuck->maintain();
  EXPECT_FALSE(stuck->stalled());
  EXPECT_TRUE(stuck->stats().map);
  clock.advance(patience);
  stuck->maintain();
  EXPECT_TRUE(stuck->stalled()) << "the log's thread is at its only job";
  EXPECT_FALSE(stuck->stats().map) << "whoever asks for figures does not ask the disk";
  disk.go_on();
  ASSERT_TRUE(late.get_future().get());
  ASSERT_TRUE(write(*stuck, {mail_of(3)})) << "so the log is through with the one before";
  stuck->maintain();
  EXPECT_FALSE(stuck->stalled());

  // LMDB's writer, in a checkpoint that begins because nothing comes.
  disk.stick();
  const auto give_up = std::chrono::steady_clock::now() + 30s;
  while (stuck->stats().writer.working_jobs == 0 && std::chrono::steady_clock::now() < give_up)
    std::this_thread::yield();
  stuck->maintain();
  EXPECT_FALSE(stuck->stalled());
  clock.advance(patience);
  stuck->maintain();
  EXPECT_TRUE(stuck->stalled()) << "the log goes on, what is behind it does not";
  disk.go_on();
  stuck.reset();
}

TEST_F(JournalLog, ADamagedLogIsToldOfOnceAndRemembered) {
  open();
  for (std::uint64_t seq : {1, 2, 3})
    ASSERT_TRUE(write(*kept, {mail_of(seq, "text " + std::to_string(seq))}));
  crash();
  {
    std::fstream f{folder.path + "/mail/log.0", std::ios::in | std::ios::out | std::ios::binary};
    std::string all{std::istreambuf_iterator<char>{f}, {}};
    const auto at = all.find("text 2");
    ASSERT_NE(at, all.npos);
    f.seekp(static_cast<std::streamoff>(at));
    f.put('T');
  }
  for (int life = 0; life < 2; ++life) {
    open();
    EXPECT_EQ(there(), (seqs{1, 3}));
    EXPECT_EQ(kept->damaged(), 1u);
  }
}

TEST_F(JournalLog, AStoreOfFormatOneGetsItsLog) {
  {
    store::environment_options o;
    o.path = folder.path + "/mail";
    o.map_bytes = 16u << 20;
    o.tables = layout::table_names();
    auto env = store::environment::open(std::move(o));
    ASSERT_TRUE(env) << env.error().message;
    store::writer direct{**env};
    store::log_steps steps;
    layout::add_steps(steps, mail_of(5), layout::time_frame{clock});
    std::promise<result<void>> done;
    store::write_job job;
    job.apply = [&](store::transaction& t) -> result<void> {
      auto rest = steps.view();
      const auto s = store::next_step(rest);
      if (auto ok = t.put(s->to, s->key, store::ended_value(*s, old_seal)); !ok)
        return ok;
      constexpr std::string_view seq = "seq", topics = "topics";
      auto named = [](std::string_view n) {
        return core::byte_view{reinterpret_cast<const std::uint8_t*>(n.data()), n.size()};
      };
      if (auto ok = t.put(layout::counters, named(seq), store::key::of(std::uint64_t{5})); !ok)
        return ok;
      return t.put(layout::counters, named(topics),
                   store::key::of(std::uint64_t{1}, std::uint64_t{2}));
    };
    job.then = [&](result<void> r) { done.set_value(std::move(r)); };
    direct.submit(std::move(job));
    ASSERT_TRUE(done.get_future().get());
  }
  open();
  EXPECT_EQ(there(), seqs{5});
  EXPECT_EQ(kept->last_seq(), 5u);
  ASSERT_TRUE(write(*kept, {mail_of(6)}));
  EXPECT_TRUE(fs::exists(folder.path + "/mail/before-1/data.mdb"));
  kept.reset();
  store::environment_options old;
  old.path = folder.path + "/mail";
  old.map_bytes = 16u << 20;
  old.tables = layout::table_names();
  const auto refused = store::environment::open(std::move(old));
  ASSERT_FALSE(refused) << "who knows no log must not write behind it";
  EXPECT_EQ(refused.error().kind, store::open_failure::too_new);
}

} // namespace
