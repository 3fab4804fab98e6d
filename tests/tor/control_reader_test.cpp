#include "tor/splits.hpp"
#include "transport/tor/control_reader.hpp"

#include <gtest/gtest.h>

namespace ron::transport::tor {
namespace {

using replies = std::vector<control_reply>;

bool feed(control_reader& r, std::string_view s, replies& out) {
  return r.feed(view_of(s), out);
}

TEST(ControlReader, EverySplitGivesTheSameReplies) {
  const std::string text = "250 OK\r\n"
                           "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n250 OK\r\n"
                           "250+info=\r\nfirst\r\n250 not a line\r\n.\r\n250 OK\r\n"
                           "650 HS_DESC UPLOADED x\r\n515 \r\n";
  for_every_split(text, [&](const auto& pieces) {
    control_reader r;
    replies out;
    for (const auto piece : pieces)
      ASSERT_TRUE(feed(r, piece, out));
    ASSERT_EQ(out.size(), 5u);
    EXPECT_EQ(out[0].lines, std::vector<std::string>{"OK"});
    EXPECT_EQ(out[1].lines.size(), 3u);
    EXPECT_EQ(out[1].lines[1], "AUTH METHODS=NULL");
    EXPECT_EQ(out[2].lines, (std::vector<std::string>{"info=", "OK"}));
    EXPECT_EQ(out[3].status, 650);
    EXPECT_EQ(out[4].status, 515);
    EXPECT_EQ(out[4].lines.front(), "");
  });
}

TEST(ControlReader, BreaksAreFound) {
  for (const auto* text : {"OK\r\n", "25 OK\r\n", "250\r\n", "250_OK\r\n", "250 OK\n", "\r\n", "\n",
                           "250-a\r\n251 b\r\n", "abc OK\r\n", "HTTP/1.1 400 Bad Request\r\n"}) {
    control_reader r;
    replies out;
    EXPECT_FALSE(feed(r, text, out)) << text;
    EXPECT_TRUE(out.empty());
  }
}

TEST(ControlReader, EveryBoundHolds) {
  replies out;
  control_reader line;
  EXPECT_TRUE(feed(line, std::string(control_reader::line_bytes_max, '2'), out));
  EXPECT_FALSE(feed(line, "2", out));

  control_reader lines;
  for (std::size_t i = 0; i < control_reader::lines_max; ++i)
    EXPECT_TRUE(feed(lines, "250-a\r\n", out));
  EXPECT_FALSE(feed(lines, "250 a\r\n", out));

  control_reader data; // endless data is not kept, and not read for ever either
  EXPECT_TRUE(feed(data, "250+a\r\n", out));
  std::size_t taken = 7;
  while (feed(data, "0123456789012\r\n", out))
    taken += 15;
  EXPECT_LE(taken, control_reader::reply_bytes_max);
  EXPECT_GT(taken + 15, control_reader::reply_bytes_max);
  EXPECT_TRUE(out.empty());

  control_reader many; // the bound is of a reply, not of the connection
  for (int i = 0; i < 10'000; ++i)
    ASSERT_TRUE(feed(many, "250 OK\r\n", out));
  EXPECT_EQ(out.size(), 10'000u);
}

TEST(ControlReader, WordsOfALine) {
  const std::string_view line = R"(AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE="/a \"b\\c" X=)";
  EXPECT_EQ(word_value(line, "METHODS"), "COOKIE,SAFECOOKIE");
  EXPECT_EQ(word_value(line, "COOKIEFILE"), R"(/a "b\c)");
  EXPECT_EQ(word_value(line, "X"), "");
  EXPECT_EQ(word_value(line, "FILE"), "") << "a word begins at a blank";
  EXPECT_EQ(word_value(R"(A="B=1 \" B=2" B=3)", "B"), "3") << "quoted words are no words";
  EXPECT_EQ(word_value(R"(A="no end)", "A"), "");
  EXPECT_EQ(word_value(R"(A="\)", "A"), "");
  EXPECT_EQ(word_value("", "A"), "");
}

} // namespace
} // namespace ron::transport::tor
