#include "core/config_load.hpp"

#include <gtest/gtest.h>

#include <algorithm>

/// The four sources, their precedence, everything that is wrong at once.
namespace ron::core::config {

namespace {

using lines = std::vector<std::string>;

/// A configuration from one file and what else a test adds.
struct sources_of : sources {
  explicit sources_of(std::string text = {}) {
    host.cores = 4;
    if (!text.empty())
      files.push_back({"f.ini", std::move(text)});
  }
  sources_of& file(std::string name, std::string text) {
    files.push_back({std::move(name), std::move(text)});
    return *this;
  }
  sources_of& env(std::string name, std::string value) {
    environment.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  sources_of& option(std::string name, std::string value) {
    command_line.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

lines errors_of(const sources& s) {
  lines out;
  for (const auto& p : load(s).errors)
    out.push_back(to_string(p));
  return out;
}

lines warnings_of(const sources& s) {
  lines out;
  for (const auto& p : load(s).warnings)
    out.push_back(to_string(p, "warning"));
  return out;
}

/// The configuration; a default one and a failed test if there are errors.
node_config config_of(const sources& s) {
  auto got = load(s);
  for (const auto& p : got.errors)
    ADD_FAILURE() << to_string(p);
  return got.config ? *got.config : node_config{};
}

std::string origin_of(const node_config& c, std::string_view name) {
  auto i = c.origins.find(name);
  return i == c.origins.end() ? "?" : i->second.text;
}

} // namespace

TEST(ConfigLoad, DefaultsAreAMicronode) {
  auto c = config_of(sources_of{});
  EXPECT_EQ(c.node.profile, profile::micronode);
  EXPECT_TRUE(c.node.amnesia);
  EXPECT_EQ(c.node.data_dir, "");
  EXPECT_EQ(c.index.db + c.storage.db + c.mailbox.db, "");
  EXPECT_EQ(c.node.shards, 4u);
  EXPECT_EQ(c.transport.accept_permits, 8u);
  EXPECT_TRUE(c.node.roles.has(role::omnigate) && c.node.roles.has(role::mailbox));
  EXPECT_FALSE(c.node.roles.has(role::dht));
  EXPECT_EQ(c.http.address, (host_port{"127.0.0.1", 8080}));
  EXPECT_EQ(c.http.tls_address, (host_port{"127.0.0.1", 8443}));
  EXPECT_EQ(c.oap.tls_address, (host_port{"127.0.0.1", 9443}));
  EXPECT_EQ(c.admin.address, (host_port{"127.0.0.1", 9600}));
  EXPECT_EQ(c.storage.quota, 256u << 20);
  EXPECT_EQ(c.omnigate.chunk_bytes, 32u << 10);
  EXPECT_TRUE(c.omnigate.public_read);
  EXPECT_EQ(c.mailbox_bounds.bound_of("connection"), 64u);
  EXPECT_EQ(c.mailbox_bounds.bound_of("resolver"), 256u);
  EXPECT_EQ(c.log.level_of("transport"), log_level::info);
  EXPECT_EQ(origin_of(c, "http.address"), "default");
  EXPECT_EQ(origin_of(c, "node.shards"), "default: the number of cores, at most 64");
}

TEST(ConfigLoad, TheProfileDecidesDefaults) {
  auto c = config_of(sources_of{"[node]\nprofile = macronode\n"});
  EXPECT_FALSE(c.node.amnesia);
  EXPECT_EQ(c.node.data_dir, "/var/lib/ron");
  EXPECT_EQ(c.index.db, "/var/lib/ron/index");
  EXPECT_EQ(c.storage.db, "/var/lib/ron/storage");
  EXPECT_EQ(c.mailbox.db, "/var/lib/ron/mailbox");
  EXPECT_EQ(c.storage.quota, 0u);
  EXPECT_EQ(c.omnigate.chunk_bytes, 64u << 10);
  EXPECT_FALSE(c.omnigate.public_read);
  EXPECT_TRUE(c.index.spill);
}

TEST(ConfigLoad, AMacronodeMayForget) {
  auto c = config_of(sources_of{"[node]\nprofile = macronode\namnesia = true\n"});
  EXPECT_EQ(c.node.data_dir, "");
  EXPECT_EQ(c.storage.db, "");
  EXPECT_FALSE(c.index.spill);
}

TEST(ConfigLoad, StoresFollowTheDataDirectory) {
  auto c = config_of(sources_of{"[node]\namnesia = false\ndata-dir = /srv/ron/\n"
                                "[index]\ndb = /fast/index\n"});
  EXPECT_EQ(c.index.db, "/fast/index");
  EXPECT_EQ(c.storage.db, "/srv/ron/storage");
}

TEST(ConfigLoad, CommandLineBeatsEnvironmentBeatsLaterFileBeatsEarlierFile) {
  auto s = sources_of{"[omnigate]\ninflight-max = 1\nrate = 1/s\nburst = 1\nqueue-depth = 1\n"};
  s.file("g.ini", "[omnigate]\nrate = 2/s\nburst = 2\nqueue-depth = 2\n")
    .env("RON_OMNIGATE_BURST", "3")
    .env("RON_OMNIGATE_QUEUE_DEPTH", "3")
    .option("omnigate.queue-depth", "4");
  auto c = config_of(s);
  EXPECT_EQ(c.omnigate.inflight_max, 1u);
  EXPECT_EQ(c.omnigate.rate, 2u);
  EXPECT_EQ(c.omnigate.burst, 3u);
  EXPECT_EQ(c.omnigate.queue_depth, 4u);
  EXPECT_EQ(origin_of(c, "omnigate.inflight-max"), "f.ini:2:16");
  EXPECT_EQ(origin_of(c, "omnigate.rate"), "g.ini:2:8");
  EXPECT_EQ(origin_of(c, "omnigate.burst"), "environment RON_OMNIGATE_BURST");
  EXPECT_EQ(origin_of(c, "omnigate.queue-depth"), "command line --omnigate.queue-depth");
}

TEST(ConfigLoad, TheProfileOfAnySourceDecides) {
  EXPECT_FALSE(config_of(sources_of{}.env("RON_NODE_PROFILE", "macronode")).node.amnesia);
  EXPECT_TRUE(config_of(sources_of{"[node]\nprofile = macronode\n"}
                          .option("node.profile", "micronode"))
                .node.amnesia);
}

TEST(ConfigLoad, OverriddenValuesAreCheckedToo) {
  auto s = sources_of{"[oap]\nack-window = 0\n"}.option("oap.ack-window", "16");
  EXPECT_EQ(errors_of(s), lines{"f.ini:2:14: error: [oap] ack-window: 0 is too small; expected an "
                                "integer from 8 to 1024"});
}

TEST(ConfigLoad, ReportsEverythingAtOnce) {
  auto s = sources_of{"[http]\nadress = \"127.0.0.1:8080\"\nheader-timeout = 5\n"
                      "[oap]\nmax-frame = 1KiB\nmax-frame = 2KiB\n[htpp]\naddress = off\n# x\n"};
  s.env("RON_OMNIGATE_RATES", "1").env("RON_TRANSPORT_PQ", "of").option("log.level", "loud");
  EXPECT_EQ(
    errors_of(s),
    (lines{
      "f.ini:9:1: error: [htpp]: \"#\" starts no comment here; expected ; before a comment",
      "f.ini:2:1: error: [http] adress: unknown key; expected a key of [http]; did you mean [http] "
      "address",
      "f.ini:6:1: error: [oap] max-frame: the key was set before, in line 5; expected every key "
      "once "
      "in a file",
      "f.ini:8:1: error: [htpp] address: unknown section; expected a section of docs/CONFIG.md; "
      "did "
      "you mean [http] address",
      "environment RON_OMNIGATE_RATES: error: no key has this variable; expected a variable of "
      "docs/CONFIG.md, or none that starts with RON_; did you mean RON_OMNIGATE_RATE",
      "f.ini:3:18: error: [http] header-timeout: \"5\" has no unit; expected a duration from "
      "100ms to "
      "10min; did you mean 5s",
      "f.ini:5:13: error: [oap] max-frame: 1KiB is too small; expected a size from 65KiB to 1MiB",
      "environment RON_TRANSPORT_PQ: error: [transport] pq: \"of\" is unknown; expected off, "
      "prefer "
      "or require; did you mean off",
      "command line --log.level: error: [log] level: \"loud\" is unknown; expected trace, debug, "
      "info, "
      "warn, error or off",
    }));
}

TEST(ConfigLoad, SuggestsAcrossSections) {
  auto suggestion = [](std::string name) {
    auto e = load(sources_of{}.option(name, "1")).errors;
    return e.size() == 1 ? e[0].suggestion : std::string{"?"};
  };
  EXPECT_EQ(suggestion("http.adress"), "--http.address");
  EXPECT_EQ(suggestion("http.header_timeout"), "--http.header-timeout");
  EXPECT_EQ(suggestion("http.max-frame"), "--oap.max-frame");
  EXPECT_EQ(suggestion("index.data-dir"), "--node.data-dir");
  EXPECT_EQ(suggestion("log.level.transprot"), "--log.level.transport");
  EXPECT_EQ(suggestion("Http.Address"), "--http.address");
  EXPECT_EQ(suggestion("zzz.qqq"), "");
}

TEST(ConfigLoad, UnknownOptionsAreUsageErrorsAndNothingElseIs) {
  auto s = sources_of{"[a]\nb = 1\n"}.env("RON_X", "");
  s.option("no.such", "1").option("log.level", "x");
  for (const auto& p : load(s).errors)
    EXPECT_EQ(p.usage, p.place == "command line --no.such") << to_string(p);
}

TEST(ConfigLoad, EnvironmentAliasesAndForeignVariables) {
  auto s = sources_of{"[node]\namnesia = false\ndata-dir = /d\n"};
  s.env("OMNIGATE_INFLIGHT_MAX", "77").env("RON_INDEX_DB", "/i").env("PATH", "/bin");
  s.env("RONDO", "x").env("ron_http_address", "x").env("OMNIGATE_OTHER", "x");
  auto c = config_of(s);
  EXPECT_EQ(c.omnigate.inflight_max, 77u);
  EXPECT_EQ(c.index.db, "/i");
  EXPECT_EQ(origin_of(c, "omnigate.inflight-max"), "environment OMNIGATE_INFLIGHT_MAX");
  EXPECT_EQ(errors_of(sources_of{}.env("RON_OMNIGATE_INFLIGHT_MAX", "1").env(
              "OMNIGATE_INFLIGHT_MAX", "1")),
            lines{"environment OMNIGATE_INFLIGHT_MAX: error: [omnigate] inflight-max: the key is "
                  "also "
                  "set by environment RON_OMNIGATE_INFLIGHT_MAX; expected one of the two"});
}

TEST(ConfigLoad, Families) {
  auto s = sources_of{"[log]\nlevel = warn\nlevel.oap = trace\n[log.level]\nhttp = error\n"
                      "[mailbox-bounds]\nresolver = 512\nconnection = 32\n"
                      "index.cache = 7\n"};
  s.env("RON_LOG_LEVEL_DHT", "off").env("RON_MAILBOX_BOUNDS_HTTP_SERVER", "9");
  s.option("log.level.core", "debug");
  auto c = config_of(s);
  EXPECT_EQ(c.log.level_of("oap"), log_level::trace);
  EXPECT_EQ(c.log.level_of("http"), log_level::error);
  EXPECT_EQ(c.log.level_of("dht"), log_level::off);
  EXPECT_EQ(c.log.level_of("core"), log_level::debug);
  EXPECT_EQ(c.log.level_of("tls"), log_level::warn);
  EXPECT_EQ(c.mailbox_bounds.bound_of("resolver"), 512u);
  EXPECT_EQ(c.mailbox_bounds.bound_of("connection"), 32u);
  EXPECT_EQ(c.mailbox_bounds.bound_of("http_server"), 9u);
  EXPECT_EQ(c.mailbox_bounds.bound_of("index.cache"), 7u);
  EXPECT_EQ(c.mailbox_bounds.bound_of("index.resolver"), 512u) << "by its last part";
  EXPECT_EQ(c.mailbox_bounds.bound_of("storage.cache"), 256u);
  EXPECT_EQ(errors_of(sources_of{}.option("mailbox-bounds.a..b", "5")).size(), 1u);
  EXPECT_EQ(errors_of(sources_of{"[mailbox-bounds]\nno-dash = 5\n"}).size(), 1u);
  EXPECT_EQ(errors_of(sources_of{"[mailbox-bounds]\nresolver = 0\n"}),
            lines{"f.ini:2:12: error: [mailbox-bounds] resolver: 0 is too small; expected an "
                  "integer "
                  "from 1 to 65536"});
}

TEST(ConfigLoad, ABadMemberOfAFamilyLeavesNothingBehind) {
  auto s = sources_of{"[log.level]\noap = loud\n"};
  EXPECT_EQ(errors_of(s).size(), 1u);
  auto values = all_values(config_of(sources_of{"[log.level]\noap = debug\n"}));
  EXPECT_EQ(std::ranges::count(values, "log.level.oap", &key_value::name), 1);
  EXPECT_EQ(std::ranges::count(values, "log.level.http", &key_value::name), 0);
}

TEST(ConfigLoad, KeysOfCafActOrNameTheirReplacement) {
  auto c = config_of(sources_of{"[scheduler]\nmax-threads = 3\nmax-throughput = 99\n"});
  EXPECT_EQ(c.node.shards, 3u);
  EXPECT_EQ(c.scheduler.max_throughput, 99u);
  EXPECT_EQ(errors_of(sources_of{"[scheduler]\npolicy = sharing\n[logger]\nverbosity = info\n"
                                 "[middleman]\nworkers = 1\n"}),
            (lines{
              "f.ini:2:1: error: [scheduler] policy: this key of CAF is not used here; expected "
              "node.shards and scheduler.max-throughput (the shards are the scheduler)",
              "f.ini:4:1: error: [logger] verbosity: this key of CAF is not used here; expected "
              "log.level, log.format and log.level.<component>",
              "f.ini:6:1: error: [middleman] workers: this key of CAF is not used here; expected "
              "cluster.address, cluster.heartbeat and cluster.down-after",
            }));
  EXPECT_EQ(errors_of(sources_of{"[node]\nshards = 2\n[scheduler]\nmax-threads = 2\n"}),
            lines{"f.ini:4:1: error: [scheduler] max-threads: the key was set before, in line 2; "
                  "expected every key once in a file"});
}

TEST(ConfigLoad, WarnsOfKeysWithoutEffect) {
  EXPECT_EQ(warnings_of(sources_of{"[dht]\nk = 20\nalpha = 4\n[omnigate]\nhedge = off\n"
                                   "[view.home]\nlegs = [\"index\"]\n"
                                   "[oap]\ntls-address = off\nquic-address = off\n"}),
            (lines{
              "f.ini:7:8: warning: [view] home.legs: has no effect in this version",
              "f.ini:3:9: warning: [dht] alpha: has no effect in this version",
            }));
  EXPECT_EQ(warnings_of(sources_of{}.option("node.roles", "dht,index")),
            lines{"command line --node.roles: warning: [node] roles: the role dht has no effect in "
                  "this version"});
  EXPECT_EQ(errors_of(sources_of{"[dht]\nk = 99\n"}).size(), 1u) << "the range holds nevertheless";
}

// -- rules over several keys -------------------------------------------------------

TEST(ConfigRules, AmnesiaWritesNothing) {
  EXPECT_EQ(errors_of(sources_of{"[node]\ndata-dir = /d\n"}),
            lines{"f.ini:2:12: error: [node] data-dir: a folder contradicts node.amnesia = true, "
                  "which "
                  "writes no file; expected node.amnesia = false, or this key left out"});
  EXPECT_EQ(errors_of(sources_of{"[index]\ndb = /d\nspill = on\n"}).size(), 2u);
  EXPECT_EQ(errors_of(sources_of{"[node]\namnesia = false\n"}),
            lines{"f.ini:2:11: error: [node] amnesia: a node without amnesia needs a folder for "
                  "its "
                  "data; expected node.data-dir = \"/var/lib/ron\", or node.amnesia = true"});
  auto no_folder = sources_of{"[node]\nprofile = macronode\n[mailbox]\ndb = none\n"};
  EXPECT_EQ(errors_of(no_folder).size(), 1u);
  EXPECT_EQ(errors_of(sources_of{"[node]\ndata-dir = none\n[index]\nspill = false\n"}), lines{});
}

TEST(ConfigRules, PlainHttpStaysOnLoopback) {
  EXPECT_EQ(errors_of(sources_of{"[http]\naddress = 0.0.0.0:8080\n"}),
            lines{"f.ini:2:11: error: [http] address: plain HTTP on 0.0.0.0:8080, which is not "
                  "loopback; expected a loopback address, or http.allow-plain = true"});
  EXPECT_EQ(errors_of(sources_of{"[admin]\naddress = [::]:9600\n"}).size(), 1u);
  EXPECT_EQ(errors_of(sources_of{"[admin]\naddress = \"[::]:9600\"\n"}).size(), 1u);
  EXPECT_EQ(errors_of(sources_of{"[http]\naddress = 0.0.0.0:8080\nallow-plain = true\n"}), lines{});
  EXPECT_EQ(errors_of(sources_of{"[http]\ntls-address = 0.0.0.0:8443\n"}), lines{});
}

TEST(ConfigRules, NodesInTheOpenNeedCertificates) {
  EXPECT_EQ(errors_of(sources_of{"[cluster]\naddress = 10.0.0.1:9700\n"}),
            lines{"f.ini:2:11: error: [cluster] address: an address that is not loopback needs "
                  "certificates; expected cluster.ca, cluster.cert and cluster.key, or a loopback "
                  "address"});
  auto s = sources_of{"[cluster]\naddress = 10.0.0.1:9700\nca = a\ncert = b\nkey = c\n"};
  EXPECT_EQ(errors_of(s), lines{});
  EXPECT_EQ(errors_of(sources_of{"[cluster]\naddress = off\n"}), lines{});
  s = sources_of{"[node]\nprofile = macronode\n[oap]\ntls-address = 0.0.0.0:9443\n"};
  EXPECT_EQ(errors_of(s).size(), 1u);
  EXPECT_EQ(errors_of(s.option("transport.cert", "a").option("transport.key", "b")), lines{});
}

TEST(ConfigRules, PairsAndOrder) {
  EXPECT_EQ(errors_of(sources_of{"[transport]\ncert = a\n"}),
            lines{"f.ini:2:8: error: [transport] cert: the key is nothing without transport.key; "
                  "expected both or neither"});
  for (auto text : {"[transport]\nkey = a\n", "[http]\nuds = /s\n", "[http]\nuds-peers = [1]\n",
                    "[cluster]\ncert = a\n", "[transport]\nconnections-max = 255\n",
                    "[transport]\nper-peer-max = 10001\n", "[index]\nalpha = 1\n", "[dht]\nk = 2\n",
                    "[dht]\nrecord-ttl = 1h\n", "[cluster]\ndown-after = 200ms\n",
                    "[oap]\nmax-frame = 512KiB\nreceive-budget = 256KiB\n",
                    "[transport]\nocsp-fetch = true\n",
                    "[transport]\ncert = a\nkey = b\nocsp-fetch = true\nocsp = c\n"})
    EXPECT_EQ(errors_of(sources_of{text}).size(), 1u) << text;
  EXPECT_EQ(errors_of(sources_of{"[http]\nuds = /s\nuds-peers = [1000]\n"}), lines{});
  EXPECT_EQ(errors_of(sources_of{"[transport]\nocsp-fetch = true\n"}).at(0),
            "f.ini:2:14: error: [transport] ocsp-fetch: true needs transport.cert: no authority "
            "answers for the certificate that the node makes for itself; expected transport.cert "
            "and transport.key, or the key left out");
  EXPECT_EQ(errors_of(sources_of{"[transport]\ncert = a\nkey = b\nocsp-fetch = true\n"}), lines{});
}

TEST(ConfigRules, ListenersDoNotCollide) {
  EXPECT_EQ(errors_of(sources_of{"[http]\naddress = 127.0.0.1:9600\n"}),
            lines{"f.ini:2:11: error: [http] address: the same port as admin.address; expected a "
                  "port "
                  "of its own, or 0 for any"});
  EXPECT_EQ(errors_of(sources_of{"[admin]\naddress = 127.0.0.1:8443\n"}),
            lines{"f.ini:2:11: error: [admin] address: the same port as http.tls-address; "
                  "expected a "
                  "port of its own, or 0 for any"});
  EXPECT_EQ(errors_of(sources_of{"[oap]\ntls-address = 0.0.0.0:8443\n"}).size(), 1u);
  EXPECT_EQ(errors_of(sources_of{"[oap]\ntls-address = 127.0.0.2:8443\n"}), lines{});
  EXPECT_EQ(errors_of(sources_of{"[http]\naddress = 127.0.0.1:0\ntls-address = 127.0.0.1:0\n"
                                 "[admin]\naddress = 127.0.0.1:0\n[oap]\ntls-address = "
                                 "127.0.0.1:0\n"}),
            lines{});
}

TEST(ConfigRules, PeersAreKnownAndKnowUs) {
  const std::string peers = "peers = [\"10.0.0.2:9443\", \"10.0.0.3:9443\"]\n";
  const std::string known = "[caps]\nroot-keys = k\n[storage]\npeer-ca = ca\n";
  EXPECT_EQ(errors_of(sources_of{known + peers + "rf = 3\n"}), lines{});
  EXPECT_EQ(errors_of(sources_of{known + peers + "rf = 1\n"}), lines{});
  EXPECT_EQ(errors_of(sources_of{known + peers + "repair-rate = 1MiB/s\n"}), lines{});
  EXPECT_EQ(errors_of(sources_of{known + peers + "repair-rate = 0MiB/s\n"}), lines{});
  const std::string pins = "[caps]\nroot-keys = k\n[storage]\npeer-pins = [\"a\"]\n";
  for (const auto& text : {known + peers + "rf = 4\n", std::string{"[storage]\nrf = 2\n"},
                           pins + peers, pins + peers + "peer-ca = ca\n",
                           "[caps]\nroot-keys = k\n[storage]\n" + peers,
                           "[storage]\npeer-ca = ca\n" + peers,
                           known + "peers = [\"10.0.0.2:9443\", \"10.0.0.2:9443\"]\n",
                           known + peers + "repair-rate = 512KiB/s\n"})
    EXPECT_GE(errors_of(sources_of{text}).size(), 1u) << text;
}

TEST(ConfigRules, SayNothingAboutKeysThatAreBadAlready) {
  EXPECT_EQ(errors_of(sources_of{"[node]\namnesia = maybe\ndata-dir = /d\n"}).size(), 1u);
  EXPECT_EQ(errors_of(sources_of{"[http]\naddress = 0.0.0.0\n"}).size(), 1u);
}

TEST(ConfigRules, ShardsAreBoundedWhateverTheMachine) {
  sources s;
  s.host.cores = 4096;
  EXPECT_EQ(config_of(s).node.shards, 64u);
  EXPECT_EQ(config_of(s).transport.accept_permits, 1024u);
  s.host.cores = 0;
  EXPECT_EQ(config_of(s).node.shards, 1u);
}

TEST(ConfigLoad, ErrorsOfOneSourceAreBounded) {
  std::string text = "[a]\n";
  for (int i = 0; i < 1000; ++i)
    text += "k" + std::to_string(i) + " = 1\n";
  auto errors = load(sources_of{text}).errors;
  EXPECT_EQ(errors.size(), problems_max);
  EXPECT_EQ(errors.back().what, "there are more errors behind this one");
}

TEST(ConfigLoad, DiffSaysWhatAReloadMayChange) {
  auto a = config_of(sources_of{"[log.level]\noap = debug\n"});
  auto b = config_of(sources_of{"[omnigate]\nqueue-wait = 9ms\n[node]\nshards = 2\n"
                                "[log.level]\ntls = off\n"});
  using d = difference;
  using enum reload_effect;
  EXPECT_EQ(diff(a, b), (std::vector<d>{d{"node.shards", "4", "2", refused},
                                        d{"log.level.tls", "", "off", at_once},
                                        d{"omnigate.queue-wait", "500ms", "9ms", next_start},
                                        d{"log.level.oap", "debug", "", at_once}}));
  EXPECT_TRUE(diff(a, a).empty());
}

} // namespace ron::core::config
