#include "node/reload.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace {

using namespace ron;
using core::config::loaded;

loaded config_of(const std::string& text) {
  core::config::sources s;
  s.files.push_back({"test.ini", text});
  s.host.cores = 2;
  return core::config::load(s);
}

TEST(Reload, TakesOverWhatMayChange) {
  const auto running = config_of("[transport]\npq = off\n").config;
  const auto fresh = config_of("[transport]\npq = prefer\nper-peer-max = 7\n"
                               "[log]\nlevel = debug\n");
  const auto plan = node::plan_reload(*running, fresh);
  EXPECT_FALSE(plan.refused());
  ASSERT_EQ(plan.changed.size(), 3u);
  EXPECT_TRUE(plan.later.empty());
  const auto next = node::take_over(*running, *fresh.config);
  EXPECT_EQ(next->transport.pq, core::config::pq_mode::prefer);
  EXPECT_EQ(next->transport.per_peer_max, 7u);
  EXPECT_TRUE(core::config::diff(*next, *fresh.config).empty());
}

TEST(Reload, SaysWhatWaitsForTheNextStart) {
  const auto running = config_of("").config;
  const auto fresh = config_of("[transport]\nidle-timeout = 5s\n");
  const auto plan = node::plan_reload(*running, fresh);
  EXPECT_FALSE(plan.refused());
  ASSERT_EQ(plan.later.size(), 1u);
  EXPECT_EQ(plan.later[0].name, "transport.idle-timeout");
  const auto next = node::take_over(*running, *fresh.config);
  EXPECT_EQ(next->transport.idle_timeout, running->transport.idle_timeout);
}

TEST(Reload, RefusesAllForOneKeyThatCannotChange) {
  const auto running = config_of("").config;
  const auto fresh = config_of("[transport]\npq = prefer\n[admin]\naddress = 127.0.0.1:9\n");
  const auto plan = node::plan_reload(*running, fresh);
  ASSERT_EQ(plan.problems.size(), 1u);
  EXPECT_NE(plan.problems[0].find("admin.address: cannot change from"), std::string::npos);
  EXPECT_NE(plan.problems[0].find("restart"), std::string::npos);
}

TEST(Reload, RefusesAFileThatIsWrong) {
  const auto running = config_of("").config;
  const auto plan = node::plan_reload(*running, config_of("[transport]\npq = of\nnope = 1\n"));
  EXPECT_EQ(plan.problems.size(), 2u) << "all of them, not the first";
}

// Every live key is one that the schema calls reloadable, or the reload would refuse it.
TEST(Reload, LiveKeysAreReloadableKeys) {
  const std::string peers = "[caps]\nroot-keys = /r\n"
                            "[storage]\npeers = [\"127.0.0.1:9\"]\npeer-ca = /p\n";
  const auto running = config_of(peers).config;
  ASSERT_TRUE(running);
  const auto fresh = config_of(peers + "rf = 2\nrepair-rate = 7MiB/s\n"
                               "[transport]\nconnections-max = 77777\nper-peer-max = 7\n"
                               "transient-max = 7\naccept-permits = 7\ncert = /c\nkey = /k\n"
                               "client-ca = /a\nocsp = /o\n"
                               "ocsp-fetch = true\nticket-rotation = 7s\npq = require\n"
                               "[node]\ndrain-timeout = 7s\n[log]\nlevel.transport = debug\n");
  const auto plan = node::plan_reload(*running, fresh);
  EXPECT_FALSE(plan.refused()) << plan.problems.front();
  EXPECT_TRUE(plan.later.empty()) << plan.later.front().name;
  EXPECT_EQ(plan.changed.size(), 15u);
  const auto next = node::take_over(*running, *fresh.config);
  EXPECT_EQ(next->storage.rf, 2u);
  EXPECT_EQ(next->storage.repair_rate, 7u << 20);
}

TEST(ReloadRequests, AreBoundedAndAnsweredOnce) {
  std::signal(SIGHUP, SIG_IGN);
  node::reload_requests requests;
  std::size_t answered = 0;
  for (std::size_t i = 0; i < node::reload_requests::waiting_max; ++i)
    EXPECT_TRUE(requests.ask([&](const node::reload_outcome&) { ++answered; }));
  EXPECT_FALSE(requests.ask([&](const node::reload_outcome&) { ++answered; }));
  requests.answer({});
  requests.answer({});
  EXPECT_EQ(answered, node::reload_requests::waiting_max);
}

} // namespace
