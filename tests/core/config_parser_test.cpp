#include "core/config_parser.hpp"

#include <gtest/gtest.h>

/// The syntax of files, without any key.
namespace ron::core::config {

namespace {

std::vector<std::string> errors_of(std::string_view text) {
  std::vector<std::string> out;
  for (const auto& p : parse_ini("f.ini", text).problems)
    out.push_back(to_string(p));
  return out;
}

using lines = std::vector<std::string>;

} // namespace

TEST(ConfigParser, TakesSectionsKeysAndComments) {
  auto f = parse_ini("f.ini", "; head\n\n[http] ; a section\n  address = \"127.0.0.1:80\" ; "
                              "here\r\n"
                              "uds-peers=[1,\n  2, ; two\n  3\n]\n\t[log.level]\ntransport = "
                              "debug\n"
                              "[a] b = c d\n'x'");
  ASSERT_EQ(f.entries.size(), 4u);
  EXPECT_EQ(f.entries[0].name, "http.address");
  EXPECT_EQ(f.entries[0].value.items[0].text, "127.0.0.1:80");
  EXPECT_TRUE(f.entries[0].value.items[0].quoted);
  EXPECT_EQ(f.entries[0].line, 4u);
  EXPECT_EQ(f.entries[0].col, 3u);
  EXPECT_EQ(f.entries[0].value_col, 13u);
  EXPECT_EQ(f.entries[1].name, "http.uds-peers");
  EXPECT_TRUE(f.entries[1].value.list);
  EXPECT_EQ(f.entries[1].value.items.size(), 3u);
  EXPECT_EQ(f.entries[2].name, "log.level.transport");
  EXPECT_EQ(f.entries[2].line, 10u);
  EXPECT_EQ(f.entries[3].value.items[0].text, "c d");
  EXPECT_EQ(f.problems.size(), 1u) << "the last line is no statement";
}

TEST(ConfigParser, HintsAtForeignSyntax) {
  EXPECT_EQ(errors_of("# comment\n"),
            lines{"f.ini:1:1: error: \"#\" starts no comment here; expected ; before a comment"});
  EXPECT_EQ(errors_of("[http]\nheader-timeout = 5s # five\n"),
            lines{"f.ini:2:21: error: [http] header-timeout: \"#\" starts no comment here; "
                  "expected ; "
                  "before a comment, or quotes around the value"});
  EXPECT_EQ(errors_of("[http]\nuds = \"/s\" # five\n"),
            lines{"f.ini:2:12: error: [http] uds: \"#\" starts no comment here; expected ; before "
                  "a "
                  "comment"});
  EXPECT_EQ(errors_of("http {\n"),
            lines{"f.ini:1:6: error: braces are not part of the syntax; expected [http] on a line "
                  "of "
                  "its own"});
  EXPECT_EQ(errors_of("}\n"), lines{"f.ini:1:1: error: braces are not part of the syntax; expected "
                                    "[section] lines and key = value"});
  EXPECT_EQ(errors_of("[a]\nb = {c = 1}\n"),
            lines{"f.ini:2:5: error: [a] b: braces are not part of the syntax; expected [section] "
                  "lines "
                  "and key = value"});
}

TEST(ConfigParser, NamesThePlaceOfEachError) {
  EXPECT_EQ(errors_of("a = 1\n[s\nkey = lost\n[t]\nkey\nkey =\nkey = ; none\nkey = \"open\n"
                      "key = [1, 2\n"),
            (lines{
              "f.ini:1:1: error: a: the key is outside of a section; expected a [section] line "
              "above it",
              "f.ini:2:1: error: this is no section; expected [section]",
              "f.ini:5:4: error: [t] key: there is no = behind the key; expected key = value",
              "f.ini:6:6: error: [t] key: the value is missing; expected key = value",
              "f.ini:7:7: error: [t] key: the value is missing; expected key = value",
              "f.ini:8:7: error: [t] key: the quote is not closed; expected another \" on this "
              "line",
              "f.ini:9:7: error: [t] key: the list is not closed; expected ]",
            }));
}

TEST(ConfigParser, RefusesOddNames) {
  for (auto text : {"[]\n", "[.a]\n", "[a.]\n", "[a..b]\n", "[a b]\n", "[[a]]\n", "[a]\n.b = 1\n",
                    "[a]\nb. = 1\n", "[a]\nb c = 1\n", "[a]\n= 1\n", "[a]\n\"b\" = 1\n",
                    "[a]\nb : 1\n", "[a] b\n"})
    EXPECT_EQ(errors_of(text).size(), 1u) << text;
  EXPECT_EQ(errors_of("[" + std::string(name_bytes_max, 'a') + "]\n").size(), 0u);
  EXPECT_EQ(errors_of("[" + std::string(name_bytes_max + 1, 'a') + "]\n").size(), 1u);
}

TEST(ConfigParser, IsBounded) {
  EXPECT_EQ(errors_of(std::string(file_bytes_max, ' ')).size(), 0u);
  EXPECT_EQ(errors_of(std::string(file_bytes_max + 1, ' ')),
            lines{"f.ini:1:1: error: the file is too large; expected at most 1MiB"});
  std::string keys = "[a]\n";
  for (std::size_t i = 0; i < file_keys_max + 1; ++i)
    keys += "k" + std::to_string(i) + " = 1\n";
  auto f = parse_ini("f.ini", keys);
  EXPECT_EQ(f.entries.size(), file_keys_max);
  ASSERT_EQ(f.problems.size(), 1u);
  EXPECT_EQ(f.problems[0].what, "the file has too many keys");
  std::string junk;
  for (int i = 0; i < 100'000; ++i)
    junk += "?\n";
  auto errors = errors_of(junk);
  ASSERT_EQ(errors.size(), problems_max);
  EXPECT_NE(errors.back().find("there are more errors"), std::string::npos);
}

TEST(ConfigParser, RefusesAByteOrderMark) {
  EXPECT_EQ(errors_of("\xef\xbb\xbf[a]\n"), lines{"f.ini:1:1: error: the file starts with a byte "
                                                  "order "
                                                  "mark; expected UTF-8 without one"});
}

} // namespace ron::core::config
