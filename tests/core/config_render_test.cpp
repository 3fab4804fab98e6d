#include "core/config_render.hpp"
#include "core/limits.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

/// The schema and the texts made from it: complete, in step with the files, and loss-free.
namespace ron::core::config {

namespace {

namespace fs = std::filesystem;

node_config config_of(std::string text, host_facts host = {4}) {
  sources s;
  s.host = host;
  s.files.push_back({"f.ini", std::move(text)});
  auto got = load(s);
  for (const auto& p : got.errors)
    ADD_FAILURE() << to_string(p);
  return got.config ? *got.config : node_config{};
}

/// Compares a file of the repository with what it has to be; on a difference the wanted text is
/// left beside the test program, ready to be copied.
void expect_file(const std::string& path, const std::string& wanted) {
  std::ifstream in{fs::path{RON_SOURCE_DIR} / path};
  std::ostringstream text;
  text << in.rdbuf();
  if (text.str() == wanted)
    return;
  auto fresh = fs::current_path() / "wanted" / path;
  fs::create_directories(fresh.parent_path());
  std::ofstream{fresh} << wanted;
  ADD_FAILURE() << path << " differs from the schema; copy " << fresh << " over it";
}

/// All `; key = value` lines of a shipped file as settings.
std::string uncommented(const std::string& text) {
  std::istringstream in{text};
  std::string out;
  for (std::string line; std::getline(in, line);) {
    auto key_end = line.find(" = ");
    bool setting = line.starts_with("; ") && key_end != std::string::npos &&
                   line.find(' ', 2) == key_end;
    out += (setting ? line.substr(2) : line) + '\n';
  }
  return out;
}

} // namespace

TEST(ConfigSchema, EveryRowIsComplete) {
  std::set<std::string_view> names;
  std::set<std::string> variables;
  std::string_view section;
  std::set<std::string_view> sections;
  for (const auto& k : schema()) {
    EXPECT_TRUE(names.insert(k.name).second) << k.name;
    EXPECT_TRUE(variables.insert(environment_name(k.name)).second) << k.name;
    EXPECT_TRUE(k.help.ends_with('.')) << k.name;
    EXPECT_FALSE(k.example.empty()) << k.name;
    ASSERT_NE(k.bind, nullptr) << k.name;
    for (auto p : {profile::micronode, profile::macronode})
      EXPECT_EQ(k.default_text(p).empty() && k.derived.empty(), false) << k.name;
    if (k.section() != section) {
      section = k.section();
      EXPECT_TRUE(sections.insert(section).second) << section << " is in two places";
    }
  }
}

TEST(ConfigSchema, DefaultsAndExamplesAreValues) {
  const auto defaults = config_of("");
  for (const auto& k : schema()) {
    for (auto text : {k.micro, k.default_text(profile::macronode), k.example}) {
      if (text.empty())
        continue;
      auto value = text.substr(text.find(" = ") == text.npos ? 0 : text.find(" = ") + 3);
      auto raw = parse_text(value);
      ASSERT_TRUE(raw) << k.name;
      auto scratch = defaults;
      auto to = k.bind(scratch, "m");
      auto ok = parse_value(k.rule, *raw, to);
      EXPECT_TRUE(ok) << k.name << ": " << (ok ? "" : ok.error().what);
      // What was printed gives the same value again.
      auto printed = print_value(k.rule, to);
      auto again = parse_text(printed);
      ASSERT_TRUE(again && parse_value(k.rule, *again, to)) << k.name << " = " << printed;
      EXPECT_EQ(print_value(k.rule, to), printed);
    }
  }
}

TEST(ConfigSchema, RangesFitTheirFields) {
  for (const auto& k : schema()) {
    node_config scratch;
    auto to = k.bind(scratch, "m");
    bool narrow = std::holds_alternative<std::uint32_t*>(to) ||
                  std::holds_alternative<share_slot>(to) ||
                  std::holds_alternative<std::vector<std::uint32_t>*>(to);
    EXPECT_TRUE(!narrow || k.rule.max <= 0xffffffffu) << k.name;
    EXPECT_LE(k.rule.min, k.rule.max) << k.name;
    EXPECT_TRUE(!std::holds_alternative<share_slot>(to) || k.rule.words.size() == 3) << k.name;
    EXPECT_TRUE(!std::holds_alternative<choice_slot>(to) || k.rule.words.size() > 1) << k.name;
  }
}

TEST(ConfigSchema, NamesAreFoundFromEverywhere) {
  for (const auto& k : schema()) {
    auto member = k.members.empty() ? std::string{"some_member"} : std::string{k.members[0]};
    auto name = k.full_name(member);
    auto by_name = find_key(name);
    ASSERT_TRUE(by_name) << name;
    EXPECT_EQ(by_name->info, &k);
    EXPECT_EQ(by_name->full_name(), name);
    auto by_variable = find_environment(environment_name(name));
    ASSERT_TRUE(by_variable) << environment_name(name);
    EXPECT_EQ(by_variable->info, &k);
    EXPECT_EQ(by_variable->full_name(), name);
  }
  for (const auto& a : file_aliases())
    EXPECT_EQ(find_key(a.alias)->full_name(), a.name);
  for (const auto& a : environment_aliases())
    EXPECT_EQ(find_environment(a.alias)->full_name(), a.name);
}

TEST(ConfigSchema, DefaultsAreTheLimitsOfTheCode) {
  auto c = config_of("");
  EXPECT_EQ(c.oap.max_frame, limits::oap_frame_bytes_default);
  EXPECT_EQ(c.oap.ack_window, limits::oap_ack_window_default);
  EXPECT_EQ(c.oap.max_inflight, limits::oap_inflight_default);
  EXPECT_EQ(c.oap.max_streams, limits::oap_streams_default);
  EXPECT_EQ(c.oap.receive_budget, limits::oap_receive_budget_default);
  EXPECT_EQ(c.transport.read_buffer, limits::read_buffer_bytes);
  EXPECT_EQ(c.transport.write_coalesce, limits::write_coalesce_bytes);
  EXPECT_EQ(c.transport.handshake_timeout, limits::handshake_timeout);
  EXPECT_EQ(c.transport.idle_timeout, limits::idle_timeout);
  EXPECT_EQ(c.omnigate.body_bytes_max, limits::json_body_bytes_max);
  EXPECT_EQ(c.omnigate.inflight_max, limits::inflight_default);
  EXPECT_EQ(c.omnigate.rate, limits::rate_default);
  EXPECT_EQ(c.omnigate.burst, limits::burst_default);
  EXPECT_EQ(c.omnigate.permits.index, limits::permits_index);
  EXPECT_EQ(c.omnigate.permits.storage, limits::permits_storage);
  EXPECT_EQ(c.omnigate.permits.mailbox, limits::permits_mailbox);
  EXPECT_EQ(c.omnigate.request_timeout, limits::request_timeout);
  EXPECT_EQ(c.index.resolve_budget, limits::resolve_budget);
  EXPECT_EQ(c.storage.object_bytes_max, limits::object_bytes_max_default);
  EXPECT_EQ(c.mailbox_bounds.fallback, limits::mailbox_bound_default);
  EXPECT_EQ(c.mailbox_bounds.bound_of("stream"), limits::mailbox_bound_connection);
  EXPECT_EQ(c.node.drain_timeout, limits::drain_timeout);
  auto rule = [](std::string_view name) { return find_key(name)->info->rule; };
  EXPECT_EQ(rule("oap.max-frame").max, limits::oap_frame_bytes_law);
  EXPECT_EQ(rule("oap.max-frame").min, limits::oap_frame_bytes_default);
  EXPECT_EQ(rule("oap.ack-window").max, limits::oap_ack_window_max);
  EXPECT_EQ(rule("oap.max-inflight").max, limits::oap_inflight_max);
  EXPECT_EQ(rule("oap.max-streams").min, limits::oap_streams_floor);
  EXPECT_EQ(rule("oap.max-streams").max, limits::oap_streams_max);
  EXPECT_EQ(rule("mailbox-bounds.default").max, limits::mailbox_bound_max);
}

TEST(ConfigRender, FilesOfTheRepositoryAreUpToDate) {
  for (auto name : default_file_names())
    expect_file("config/" + std::string{name} + ".ini", default_file(name));
  expect_file("docs/CONFIG.md", reference());
}

TEST(ConfigRender, ShippedFilesAreFaultless) {
  std::set<std::string> addresses;
  for (auto name : default_file_names()) {
    sources s;
    s.files.push_back({std::string{name} + ".ini", default_file(name)});
    auto got = load(s);
    for (const auto& p : got.errors)
      ADD_FAILURE() << to_string(p);
    for (const auto& p : got.warnings)
      ADD_FAILURE() << to_string(p, "warning");
    ASSERT_TRUE(got.config);
    const auto& c = *got.config;
    EXPECT_EQ(c.node.amnesia, name == "micronode");
    EXPECT_EQ(default_file(name).find("\n\n\n"), std::string::npos);
    if (name == "micronode") {
      EXPECT_TRUE(diff(config_of(""), config_of(default_file(name))).empty())
        << "the micronode's file says what holds without it";
      continue;
    }
    for (const auto& a : {c.http.address, c.http.tls_address, c.oap.tls_address,
                          std::optional{c.admin.address}})
      EXPECT_TRUE(addresses.insert(a->to_string()).second) << a->to_string();
  }
  EXPECT_EQ(default_file("nobody"), "");
}

TEST(ConfigRender, EveryCommentedKeyOfTheFilesIsValid) {
  for (auto name : default_file_names()) {
    sources s;
    s.files.push_back({"all.ini", uncommented(default_file(name))});
    auto parsed = parse_ini("all.ini", s.files[0].text);
    EXPECT_EQ(parsed.problems.size(), 0u);
    EXPECT_EQ(parsed.entries.size(), schema().size());
    // Examples contradict each other here and there; single values and names never fail.
    for (const auto& p : load(s).errors)
      EXPECT_TRUE(p.what.find("contradicts") != std::string::npos ||
                  p.what.find("nothing without") != std::string::npos)
        << to_string(p);
  }
}

TEST(ConfigRender, PrintsValuesWithTheirOrigin) {
  sources s;
  s.host.cores = 2;
  s.files.push_back({"f.ini", "[http]\naddress = off\n"});
  s.environment.emplace_back("RON_LOG_LEVEL_OAP", "debug");
  auto text = print_config(*load(s).config);
  EXPECT_TRUE(text.starts_with("[node]\nroles = [\"omnigate\", \"index\", \"storage\", "
                               "\"mailbox\"] ; default\nprofile = micronode ; default\n"));
  EXPECT_NE(text.find("\nshards = 2 ; default: the number of cores, at most 64\n"), text.npos);
  EXPECT_NE(text.find("\nlevel.oap = debug ; environment RON_LOG_LEVEL_OAP\n"), text.npos);
  EXPECT_NE(text.find("\n[http]\naddress = off ; f.ini:2:11\n"), text.npos);
}

TEST(ConfigRender, WhatIsPrintedGivesTheSameConfiguration) {
  for (auto text :
       {"", "[node]\nprofile = macronode\n", "[node]\nprofile = macronode\namnesia = true\n",
        "[node]\namnesia = false\ndata-dir = \"/a b;c\\\"d\"\n[http]\naddress = off\n",
        "[mailbox-bounds]\nx = 1\n[view.home]\nlegs = [\"a;b\", \"c\\\\\"]\n[log.level]\noap = "
        "off\n",
        "[node]\nroles = [dht, index]\n[oap]\nquic-address = off\n"}) {
    auto before = config_of(text, {3});
    auto after = config_of(print_config(before), {7});
    for (const auto& d : diff(before, after))
      ADD_FAILURE() << d.name << ": " << d.before << " became " << d.after;
  }
}

namespace {

/// A random value that `k` may have, as text; empty if there is no easy one.
std::string random_value(const key_info& k, std::mt19937_64& random) {
  auto pick = [&](std::uint64_t lo, std::uint64_t hi) {
    return std::uniform_int_distribution<std::uint64_t>{lo, hi}(random);
  };
  const auto& r = k.rule;
  switch (r.type) {
    case kind::boolean:
      return pick(0, 1) != 0 ? "true" : "false";
    case kind::integer:
    case kind::size:
    case kind::rate:
    case kind::byte_rate:
      return std::to_string(pick(r.min, r.max));
    case kind::duration:
      return std::to_string(pick(r.min, r.max)) + "ms";
    case kind::percent:
      return std::to_string(pick(r.min, r.max)) + '%';
    case kind::choice:
      return k.name == "node.profile" ? "" : std::string{r.words[pick(0, r.words.size() - 1)]};
    case kind::listener:
    case kind::address:
      return "127.0.0." + std::to_string(pick(1, 254)) + ":0";
    default:
      return {};
  }
}

} // namespace

TEST(ConfigRender, RandomConfigurationsSurviveARoundTrip) {
  auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random{seed};
  int valid = 0;
  for (int round = 0; round < 300; ++round) {
    sources s;
    for (int n = 0; n < 6; ++n) {
      const auto& k = schema()[random() % schema().size()];
      auto member = k.members.empty() ? std::string{"some"} : std::string{k.members[0]};
      if (auto text = random_value(k, random); !text.empty())
        s.command_line.emplace_back(k.full_name(member), text);
    }
    auto before = load(s);
    for (const auto& p : before.errors) // single values are right, rules over several may not be
      EXPECT_EQ(p.what.find("too "), std::string::npos) << to_string(p);
    if (!before.config)
      continue;
    ++valid;
    auto after = config_of(print_config(*before.config));
    for (const auto& d : diff(*before.config, after))
      ADD_FAILURE() << d.name << ": " << d.before << " became " << d.after;
  }
  EXPECT_GT(valid, 100);
}

} // namespace ron::core::config
