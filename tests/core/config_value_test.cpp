#include "core/config_parser.hpp"
#include "core/config_schema.hpp"

#include <gtest/gtest.h>

#include <limits>

/// The texts of each type of value: what is taken, how it is printed, what is said otherwise.
namespace ron::core::config {

namespace {

using sv = std::string_view;
using ms = std::chrono::milliseconds;

/// Parses `text` as given on a command line into `to`; returns the canonical text or the error.
std::string read(const value_rule& rule, sv text, const slot& to) {
  auto raw = parse_text(text);
  if (!raw)
    return "! " + raw.error().what;
  auto ok = parse_value(rule, *raw, to);
  if (ok)
    return print_value(rule, to);
  auto out = "! " + ok.error().what + "; expected " + ok.error().expected;
  return ok.error().suggestion.empty() ? out : out + "; did you mean " + ok.error().suggestion;
}

constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

} // namespace

TEST(ConfigValue, Boolean) {
  bool x = false;
  value_rule r{kind::boolean};
  EXPECT_EQ(read(r, "true", &x), "true");
  EXPECT_EQ(read(r, "off", &x), "false");
  EXPECT_EQ(read(r, " on ", &x), "true");
  EXPECT_EQ(read(r, "yes", &x),
            "! \"yes\" is no boolean; expected true or false; did you mean true");
  EXPECT_EQ(read(r, "0", &x), "! \"0\" is no boolean; expected true or false; did you mean false");
  EXPECT_EQ(read(r, "ture", &x), "! \"ture\" is no boolean; expected true or false; did you mean "
                                 "true");
  EXPECT_EQ(read(r, "\"true\"", &x),
            "! \"true\" in quotes is a string; expected true or false; did you mean true");
  EXPECT_EQ(read(r, "[true]", &x), "! a list is not allowed here; expected true or false");
  EXPECT_EQ(read(r, "", &x), "! the value is empty; expected true or false");
  EXPECT_TRUE(x) << "a bad value leaves the field alone";
}

TEST(ConfigValue, Integer) {
  std::uint32_t x = 7;
  value_rule r{kind::integer, 64, 65536};
  EXPECT_EQ(read(r, "64", &x), "64");
  EXPECT_EQ(read(r, "65536", &x), "65536");
  EXPECT_EQ(read(r, "63", &x), "! 63 is too small; expected an integer from 64 to 65536");
  EXPECT_EQ(read(r, "65537", &x), "! 65537 is too large; expected an integer from 64 to 65536");
  EXPECT_EQ(read(r, "99999999999999999999999", &x),
            "! 99999999999999999999999 is too large; expected an integer from 64 to 65536");
  for (auto text : {"-64", "+64", "64.0", "0x64", "64 k", "6 4", "many", "1e3"})
    EXPECT_TRUE(read(r, text, &x).starts_with('!')) << text;
  EXPECT_EQ(x, 65536u);
}

TEST(ConfigValue, Size) {
  std::uint64_t x = 0;
  value_rule r{kind::size, 0, top};
  EXPECT_EQ(read(r, "66560", &x), "65KiB");
  EXPECT_EQ(read(r, "64KiB", &x), "64KiB");
  EXPECT_EQ(x, 65536u);
  EXPECT_EQ(read(r, "1024 MiB", &x), "1GiB");
  EXPECT_EQ(read(r, "3TiB", &x), "3TiB");
  EXPECT_EQ(read(r, "1001", &x), "1001");
  EXPECT_EQ(read(r, "0", &x), "0");
  EXPECT_TRUE(read(r, "64KB", &x).ends_with("did you mean 64KiB"));
  EXPECT_TRUE(read(r, "8m", &x).ends_with("did you mean 8MiB"));
  EXPECT_TRUE(read(r, "KiB", &x).starts_with('!'));
  EXPECT_EQ(read({kind::size, 0, 1u << 20}, "99999999999TiB", &x),
            "! 99999999999TiB is too large; expected a size from 0 to 1MiB");
  std::uint32_t small = 0;
  EXPECT_EQ(read({kind::size, 66560, 1u << 20}, "65KiB", &small), "65KiB");
}

TEST(ConfigValue, Duration) {
  ms x{};
  value_rule r{kind::duration, 100, 86'400'000};
  EXPECT_EQ(read(r, "500ms", &x), "500ms");
  EXPECT_EQ(read(r, "1200ms", &x), "1200ms");
  EXPECT_EQ(read(r, "120s", &x), "2min");
  EXPECT_EQ(read(r, "24h", &x), "24h");
  EXPECT_EQ(x, std::chrono::hours{24});
  EXPECT_EQ(read(r, "5", &x), "! \"5\" has no unit; expected a duration from 100ms to 24h; did "
                              "you mean 5s");
  EXPECT_EQ(read(r, "99ms", &x), "! 99ms is too small; expected a duration from 100ms to 24h");
  EXPECT_EQ(read(r, "25h", &x), "! 25h is too large; expected a duration from 100ms to 24h");
  EXPECT_TRUE(read(r, "5m", &x).starts_with("! \"5m\" is not a duration"));
  EXPECT_TRUE(read(r, "1.5s", &x).starts_with('!'));
  EXPECT_TRUE(read(r, "18446744073709551615h", &x).starts_with('!'));
  EXPECT_EQ(read({kind::duration, 0, 1000}, "0s", &x), "0s");
}

TEST(ConfigValue, RatesAndShares) {
  std::uint32_t rate = 0;
  EXPECT_EQ(read({kind::rate, 1, 1000}, "500/s", &rate), "500/s");
  EXPECT_EQ(read({kind::rate, 1, 1000}, "500", &rate), "500/s");
  EXPECT_EQ(read({kind::rate, 0, 1000}, "0", &rate), "0");
  EXPECT_EQ(read({kind::rate, 1, 1000}, "0/s", &rate), "! 0/s is too small; expected a rate from "
                                                       "1/s to 1000/s");
  EXPECT_TRUE(read({kind::rate, 1, 1000}, "5/min", &rate).starts_with('!'));
  std::uint64_t bytes = 0;
  EXPECT_EQ(read({kind::byte_rate, 0, top}, "16KiB/s", &bytes), "16KiB/s");
  EXPECT_EQ(read({kind::byte_rate, 0, top}, "16KiB", &bytes), "16KiB/s");
  EXPECT_TRUE(read({kind::byte_rate, 0, top}, "16KB/s", &bytes).ends_with("did you mean 16KiB/s"));
  std::uint32_t percent = 0;
  EXPECT_EQ(read({kind::percent, 0, 100}, "5%", &percent), "5 %");
  EXPECT_EQ(read({kind::percent, 0, 100}, "5 %", &percent), "5 %");
  EXPECT_TRUE(read({kind::percent, 0, 100}, "5", &percent).ends_with("did you mean 5 %"));
  EXPECT_TRUE(read({kind::percent, 0, 100}, "101 %", &percent).starts_with('!'));
  memory_bound m;
  value_rule r{kind::memory, 64u << 20, 1ull << 40};
  EXPECT_EQ(read(r, "50 %", &m), "50 %");
  EXPECT_EQ(m.resolve(1000), 500u);
  EXPECT_EQ(read(r, "4GiB", &m), "4GiB");
  EXPECT_EQ(m.resolve(1000), 4ull << 30);
  for (auto text : {"0 %", "101 %", "1KiB", "half", "50", "99999999999999999999 %"})
    EXPECT_TRUE(read(r, text, &m).starts_with('!')) << text;
}

TEST(ConfigValue, Addresses) {
  host_port x;
  value_rule r{kind::address};
  EXPECT_EQ(read(r, "127.0.0.1:8080", &x), "\"127.0.0.1:8080\"");
  EXPECT_EQ(read(r, "\"[::1]:0\"", &x), "\"[::1]:0\"");
  EXPECT_EQ(x.host, "::1");
  EXPECT_EQ(read(r, "localhost:65535", &x), "\"localhost:65535\"");
  EXPECT_TRUE(read(r, "8080", &x).ends_with("did you mean 127.0.0.1:8080"));
  EXPECT_TRUE(read(r, ":8080", &x).ends_with("did you mean 127.0.0.1:8080"));
  for (auto text : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http",
                    "127.0.0.256:1", "::1:80", "[::1", "[127.0.0.1]:1", "[]:1", "example.org:1",
                    "[::1]", "*:80", "a b:1", "127.0.0.1:000080", "off"})
    EXPECT_TRUE(read(r, text, &x).starts_with('!')) << text;
  std::optional<host_port> listener;
  EXPECT_EQ(read({kind::listener}, "0.0.0.0:443", &listener), "\"0.0.0.0:443\"");
  EXPECT_EQ(read({kind::listener}, "off", &listener), "off");
  EXPECT_FALSE(listener);
  std::vector<host_port> peers;
  value_rule many{kind::endpoints, 0, 2};
  EXPECT_EQ(read(many, "[\"seed.example.org:1\", '[fe80::1]:2']", &peers),
            "[\"seed.example.org:1\", \"[fe80::1]:2\"]");
  EXPECT_EQ(read(many, "10.0.0.1:1,b:2", &peers), "[\"10.0.0.1:1\", \"b:2\"]");
  EXPECT_EQ(read(many, "[]", &peers), "[]");
  EXPECT_TRUE(read(many, "a:1,b:2,c:3", &peers).starts_with("! 3 items are too many"));
  EXPECT_TRUE(read(many, "10.0.0:1", &peers).starts_with('!'));
}

TEST(ConfigValue, Loopback) {
  for (auto host : {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "localhost"})
    EXPECT_TRUE((host_port{host, 1}.is_loopback())) << host;
  for (auto host : {"0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "::ffff:10.0.0.1", "127.example.org"})
    EXPECT_FALSE((host_port{host, 1}.is_loopback())) << host;
}

TEST(ConfigValue, Paths) {
  std::string x = "before";
  value_rule r{kind::path};
  EXPECT_EQ(read(r, "/var/lib/ron", &x), "\"/var/lib/ron\"");
  EXPECT_EQ(read(r, "none", &x), "none");
  EXPECT_EQ(x, "");
  EXPECT_EQ(read(r, "\"none\"", &x), "\"none\"") << "a folder of that name";
  EXPECT_EQ(read(r, R"("a \"b\" \\ c;d#e")", &x), R"("a \"b\" \\ c;d#e")");
  EXPECT_EQ(x, R"(a "b" \ c;d#e)");
  EXPECT_TRUE(read(r, "\"\"", &x).starts_with("! the value is empty"));
  EXPECT_TRUE(read(r, "a\x01z", &x).starts_with("! the value contains a control character"));
  EXPECT_TRUE(read(r, "a\xff", &x).starts_with("! the value is not UTF-8"));
  EXPECT_EQ(read(r, std::string(4096, 'p'), &x).size(), 4098u);
  EXPECT_TRUE(read(r, std::string(4097, 'p'), &x).starts_with("! the value is longer than 4096"));
  EXPECT_TRUE(read(r, "\"a\" b", &x).starts_with("! text after the value"));
  EXPECT_TRUE(read(r, "\"a", &x).starts_with("! the quote is not closed"));
  EXPECT_TRUE(read(r, R"("a\n")", &x).starts_with("! an unknown escape"));
}

TEST(ConfigValue, Lists) {
  std::vector<std::string> x;
  value_rule r{kind::strings, 0, 3};
  EXPECT_EQ(read(r, "[a, \"b c\", 'd']", &x), R"(["a", "b c", "d"])");
  EXPECT_EQ(read(r, "a, b", &x), R"(["a", "b"])");
  EXPECT_EQ(read(r, "[a, b,]", &x), R"(["a", "b"])") << "a comma at the end is fine";
  EXPECT_EQ(read(r, "", &x), "[]");
  for (auto text : {"[a", "[a,,b]", "[,]", "[a b, {}]", "[\"\"]", "[a]b", "a,,b", "[a \"b\"]"})
    EXPECT_TRUE(read(r, text, &x).starts_with('!')) << text;
  value_rule off{kind::names};
  EXPECT_EQ(read(off, "off", &x), "off");
  EXPECT_EQ(read(off, "o.get", &x), "[\"o.get\"]");
  std::vector<std::uint32_t> ids;
  value_rule uid{kind::user_ids, 0, 4294967294};
  EXPECT_EQ(read(uid, "[0, 1000]", &ids), "[0, 1000]");
  EXPECT_TRUE(read(uid, "[4294967295]", &ids).starts_with('!'));
  EXPECT_TRUE(read(uid, "[root]", &ids).starts_with('!'));
}

TEST(ConfigValue, ListsAreBounded) {
  std::vector<std::string> x;
  std::string many = "[";
  for (std::size_t i = 0; i < list_items_max; ++i)
    many += "a,";
  EXPECT_TRUE(read({kind::names}, many + ']', &x).starts_with("[\"a\""));
  EXPECT_TRUE(read({kind::names}, many + "a]", &x).starts_with("! the list is too long"));
  many.erase(0, 1);
  EXPECT_TRUE(read({kind::names}, many + 'a', &x).starts_with("! 65 items are too many"));
}

TEST(ConfigValue, WordsRolesAndNumbersByName) {
  log_level level{};
  value_rule r{kind::choice, 0, 0, log_level_names};
  EXPECT_EQ(read(r, "warn", slot_of(level)), "warn");
  EXPECT_EQ(level, log_level::warn);
  EXPECT_EQ(read(r, "'debug'", slot_of(level)), "debug");
  EXPECT_EQ(read(r, "warning", slot_of(level)),
            "! \"warning\" is unknown; expected trace, debug, info, warn, error or off; did you "
            "mean warn");
  EXPECT_EQ(read(r, "Info", slot_of(level)).find("did you mean info") != std::string::npos, true);
  role_set roles;
  value_rule rr{kind::roles, 0, 0, role_names};
  EXPECT_EQ(read(rr, "mailbox,index", &roles), R"(["index", "mailbox"])");
  EXPECT_TRUE(roles.has(role::mailbox));
  EXPECT_FALSE(roles.has(role::storage));
  EXPECT_TRUE(read(rr, "[\"omnigat\"]", &roles).ends_with("did you mean omnigate"));
  EXPECT_TRUE(read(rr, "[]", &roles).starts_with("! the list is empty"));
  EXPECT_TRUE(read(rr, "[dht, dht]", &roles).starts_with("! \"dht\" is named twice"));
  std::uint32_t a = 1, b = 2, c = 3;
  share_slot shares{{&a, &b, &c}};
  static constexpr sv names[] = {"index", "storage", "mailbox"};
  value_rule sr{kind::shares, 1, 100, names};
  EXPECT_EQ(read(sr, "[\"mailbox=9\"]", shares), R"(["index=1", "storage=2", "mailbox=9"])");
  for (auto text : {"[mailbox]", "[\"mailbox=0\"]", "[\"mailbox=101\"]", "[\"malbox=1\"]",
                    "[\"index=1\", \"index=2\"]", "[\"=1\"]", "[\"index=\"]"})
    EXPECT_TRUE(read(sr, text, shares).starts_with('!')) << text;
  EXPECT_EQ(a + b + c, 12u);
}

TEST(ConfigValue, TextFromOutsideIsMadeSafe) {
  EXPECT_EQ(printable("a\x1b[31m\n\xff"), "a\\x1b[31m\\x0a\\xff");
  EXPECT_EQ(printable(std::string(100, 'x')), std::string(80, 'x') + "...");
}

TEST(ConfigValue, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("header-timeout", "header_timeout"), 1u);
  EXPECT_EQ(edit_distance(std::string(65, 'a'), "a"), 65u);
}

} // namespace ron::core::config
