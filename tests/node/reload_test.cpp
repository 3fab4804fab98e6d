#include "node/reload.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <map>
#include <string>

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
  const auto fresh = config_of("[policy]\nfail-mode = allow\n");
  const auto plan = node::plan_reload(*running, fresh);
  EXPECT_FALSE(plan.refused());
  ASSERT_EQ(plan.later.size(), 1u);
  EXPECT_EQ(plan.later[0].name, "policy.fail-mode");
  const auto next = node::take_over(*running, *fresh.config);
  EXPECT_EQ(next->policy.fail_mode, running->policy.fail_mode);
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

using core::config::reload_effect;

/// What a key is set to, where its example is the default or does not go with the rest.
const std::map<std::string, std::string> others{{"node.memory-max", "70 %"},
                                                {"omnigate.public-read", "false"},
                                                {"storage.repair-rate", "7MiB/s"},
                                                {"storage.rf", "2"},
                                                {"transport.pq", "require"}};

/// A configuration in which every key can have another value.
core::config::sources everything() {
  core::config::sources s;
  s.files.push_back({"test.ini", "[caps]\nroot-keys = /r\n"
                                 "[storage]\npeers = [\"127.0.0.1:9\"]\npeer-ca = /p\n"
                                 "[transport]\ncert = /c\nkey = /k\n"});
  s.host.cores = 2;
  return s;
}

/// Every key that the schema calls reloadable is taken over by the code that does it; of what waits
/// for the next start nothing is. tests/blackbox/reload_test.py has what each comes to.
TEST(Reload, DoesWhatTheSchemaSaysOfEachKey) {
  const auto running = core::config::load(everything()).config;
  ASSERT_TRUE(running);
  std::size_t at_once = 0;
  for (const auto& k : core::config::schema()) {
    if (k.on_reload == reload_effect::refused)
      continue;
    const auto name = k.full_name(k.members.empty() ? "summary" : "transport");
    SCOPED_TRACE(name);
    auto value = std::string{k.example};
    if (k.is_family() && value.find('=') != value.npos)
      value = value.substr(value.find('=') + 2);
    if (const auto o = others.find(name); o != others.end())
      value = o->second;
    auto s = everything();
    s.command_line.push_back({name, value});
    const auto fresh = core::config::load(s);
    ASSERT_TRUE(fresh.config) << core::config::to_string(fresh.errors.front());
    const auto plan = node::plan_reload(*running, fresh);
    EXPECT_FALSE(plan.refused()) << plan.problems.front();
    const bool live = k.on_reload == reload_effect::at_once;
    at_once += live;
    const auto& told = live ? plan.changed : plan.later;
    ASSERT_FALSE(told.empty()) << value << " is what it was";
    EXPECT_EQ(told.front().name, name);
    EXPECT_TRUE((live ? plan.later : plan.changed).empty());
    const auto next = node::take_over(*running, *fresh.config);
    EXPECT_TRUE(core::config::diff(*next, live ? *fresh.config : *running).empty());
  }
  EXPECT_GE(at_once, 54u);
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
