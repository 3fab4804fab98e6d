#include "transport/http/head_check.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using namespace ron;
using namespace ron::http;
using core::ec;
using namespace std::string_literals;

constexpr head_limits limits{};

/// A head with the given request line and field lines; Host is added unless they have one.
std::string head(std::string line, std::string fields, bool host = true) {
  return line + "\r\n" + (host ? "Host: ron.example\r\n" : "") + fields + "\r\n";
}

core::result<request_head> get(const std::string& fields, bool host = true) {
  static std::string text; // views point into it
  text = head("GET / HTTP/1.1", fields, host);
  return check_head(text, limits);
}

ec verdict(const std::string& text) {
  auto r = check_head(text, limits);
  return r ? ec::none : r.error().code;
}

TEST(HttpHeadCheck, ReadsAPlainRequest) {
  auto text = head("PUT /v1/o?x=1 HTTP/1.1", "Content-Length: 12\r\nX-Test: \t a b \t\r\n");
  auto r = check_head(text, limits);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->verb, method::put);
  EXPECT_EQ(r->target, "/v1/o?x=1");
  EXPECT_EQ(r->host, "ron.example");
  EXPECT_EQ(r->content_length, 12u);
  EXPECT_TRUE(r->keep_alive);
  EXPECT_FALSE(r->chunked);
  EXPECT_FALSE(r->expects_continue);
  EXPECT_TRUE(r->has_body());
  std::string_view value;
  EXPECT_EQ(r->count("x-test", &value), 1u);
  EXPECT_EQ(value, "a b");
}

struct ambiguous {
  const char* name;
  std::string text;
};

/// What two parsers on one path could read in two ways: each is one 400.
const std::vector<ambiguous>& ambiguous_forms() {
  const std::string post = "POST / HTTP/1.1";
  static const std::vector<ambiguous> forms{
      {"length and chunked", head(post, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"chunked and length", head(post, "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
      {"chunked twice", head(post, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"chunked listed twice", head(post, "Transfer-Encoding: chunked, chunked\r\n")},
      {"identity coding", head(post, "Transfer-Encoding: identity\r\n")},
      {"gzip coding", head(post, "Transfer-Encoding: gzip\r\n")},
      {"gzip then chunked", head(post, "Transfer-Encoding: gzip, chunked\r\n")},
      {"chunked then identity", head(post, "Transfer-Encoding: chunked, identity\r\n")},
      {"quoted chunked", head(post, "Transfer-Encoding: \"chunked\"\r\n")},
      {"chunked with parameter", head(post, "Transfer-Encoding: chunked;q=1\r\n")},
      {"chunked after vertical tab", head(post, "Transfer-Encoding: \vchunked\r\n")},
      {"empty coding", head(post, "Transfer-Encoding:\r\n")},
      {"signed length", head(post, "Content-Length: +5\r\n")},
      {"negative length", head(post, "Content-Length: -5\r\n")},
      {"length list", head(post, "Content-Length: 5, 5\r\n")},
      {"length list of one", head(post, "Content-Length: 5,\r\n")},
      {"two numbers", head(post, "Content-Length: 5 5\r\n")},
      {"leading zeros", head(post, "Content-Length: 0005\r\n")},
      {"double zero", head(post, "Content-Length: 00\r\n")},
      {"hex length", head(post, "Content-Length: 0x5\r\n")},
      {"length with fraction", head(post, "Content-Length: 5.0\r\n")},
      {"empty length", head(post, "Content-Length:\r\n")},
      {"length past 64 bits", head(post, "Content-Length: 18446744073709551621\r\n")},
      {"same length twice", head(post, "Content-Length: 5\r\nContent-Length: 5\r\n")},
      {"two lengths", head(post, "Content-Length: 5\r\nContent-Length: 6\r\n")},
      {"folded value", head(post, "X-A: 1\r\n Content-Length: 5\r\n")},
      {"folded by tab", head(post, "X-A: 1\r\n\tb\r\n")},
      {"folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"space before colon", head(post, "Content-Length : 5\r\n")},
      {"tab before colon", head(post, "Transfer-Encoding\t: chunked\r\n")},
      {"name with space", head(post, "Content Length: 5\r\n")},
      {"no colon", head(post, "Content-Length 5\r\n")},
      {"empty name", head(post, ": 5\r\n")},
      {"no host", head(post, "", false)},
      {"two hosts", head(post, "Host: ron.example\r\n")},
      {"empty host", head(post, "Host:\r\n", false)},
      {"host with user", head(post, "Host: a@b\r\n", false)},
      {"host with path", head(post, "Host: a/b\r\n", false)},
      {"host list", head(post, "Host: a,b\r\n", false)},
      {"host with two ports", head(post, "Host: a:1:2\r\n", false)},
      {"host with named port", head(post, "Host: a:http\r\n", false)},
      {"host of a port", head(post, "Host: :80\r\n", false)},
      {"host with open bracket", head(post, "Host: [::1\r\n", false)},
      {"host with text after bracket", head(post, "Host: [::1]x\r\n", false)},
      {"chunked in 1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n")},
      {"bare LF in a field", head(post, "X-A: 1\nContent-Length: 5\r\n")},
      {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n"},
      {"bare LF after request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
      {"bare CR in a value", head(post, "X-A: 1\rContent-Length: 5\r\n")},
      {"bare CR before the end", head(post, "X-A: 1\r\r\n")},
      {"NUL in a value", head(post, "X-A: 1\0002\r\n"s)},
      {"NUL in a name", head(post, "X-\0A: 1\r\n"s)},
      {"NUL in the target", head("GET /\0a HTTP/1.1"s, "")},
      {"control in a value", head(post, "X-A: 1\x01\r\n")},
      {"DEL in a value", head(post, "X-A: 1\x7f\r\n")},
      {"two spaces in request line", head("GET  / HTTP/1.1", "")},
      {"space after version", head("GET / HTTP/1.1 ", "")},
      {"tab in request line", head("GET\t/ HTTP/1.1", "")},
      {"space in target", head("GET /a b HTTP/1.1", "")},
      {"no target", head("GET HTTP/1.1", "")},
      {"no version", head("GET /", "")},
      {"lower case version", head("GET / http/1.1", "")},
      {"version 1.2", head("GET / HTTP/1.2", "")},
      {"version 2.0", head("GET / HTTP/2.0", "")},
      {"version 1.10", head("GET / HTTP/1.10", "")},
      {"version 01.1", head("GET / HTTP/01.1", "")},
      {"version 0.9", head("GET / HTTP/0.9", "")},
      {"lower case method", head("get / HTTP/1.1", "")},
      {"unknown method", head("BREW / HTTP/1.1", "")},
      {"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\n"},
      {"fragment", head("GET /a#b HTTP/1.1", "")},
      {"backslash", head("GET \\a HTTP/1.1", "")},
      {"raw non-ASCII target", head("GET /\xc3\xa4 HTTP/1.1", "")},
      {"authority form", head("GET ron.example:80 HTTP/1.1", "")},
      {"asterisk form", head("GET * HTTP/1.1", "")},
      {"absolute form of another host", head("GET http://other/ HTTP/1.1", "")},
      {"absolute form of another port", head("GET http://ron.example:81/ HTTP/1.1", "")},
      {"absolute form with user", head("GET http://u@ron.example/ HTTP/1.1", "")},
      {"absolute form of another scheme", head("GET ftp://ron.example/ HTTP/1.1", "")},
      {"bytes after the head", head("GET / HTTP/1.1", "") + "x"},
      {"no empty line", "GET / HTTP/1.1\r\nHost: a\r\n"},
      {"nothing", ""},
  };
  return forms;
}

TEST(HttpHeadCheck, EveryAmbiguousFormIsOneBadRequest) {
  EXPECT_GE(ambiguous_forms().size(), 15u);
  for (const auto& form : ambiguous_forms())
    EXPECT_EQ(verdict(form.text), ec::bad_request) << form.name;
}

TEST(HttpHeadCheck, AcceptsChunkedInAnyCase) {
  auto r = get("Transfer-Encoding: Chunked\r\n");
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->chunked);
  EXPECT_FALSE(r->content_length);
}

TEST(HttpHeadCheck, LengthHasAtMostNineteenDigits) {
  auto r = get("Content-Length: 9999999999999999999\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->content_length, 9'999'999'999'999'999'999u);
  EXPECT_FALSE(get("Content-Length: 10000000000000000000\r\n"));
  r = get("Content-Length: 0\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->content_length, 0u);
  EXPECT_FALSE(r->has_body());
}

TEST(HttpHeadCheck, OldVersionIsReadButClosesByDefault) {
  auto text = head("GET / HTTP/1.0", "Expect: 100-continue\r\n");
  auto r = check_head(text, limits);
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->http_1_0);
  EXPECT_FALSE(r->keep_alive);
  EXPECT_FALSE(r->expects_continue) << "HTTP/1.0 has no interim answers";
  text = head("GET / HTTP/1.0", "Connection: Keep-Alive\r\n");
  EXPECT_TRUE(check_head(text, limits)->keep_alive);
}

TEST(HttpHeadCheck, ConnectionOptionsAreAListAndCloseWins) {
  EXPECT_FALSE(get("Connection: close\r\n")->keep_alive);
  EXPECT_FALSE(get("Connection: keep-alive, Close\r\n")->keep_alive);
  EXPECT_FALSE(get("Connection: foo\r\nConnection: close\r\n")->keep_alive);
  EXPECT_TRUE(get("Connection: closed, ,\r\n")->keep_alive);
}

TEST(HttpHeadCheck, HostsThatAreFine) {
  for (auto host : {"a", "a:80", "127.0.0.1:8080", "[::1]", "[::1]:443", "xn--a-b.example"}) {
    auto r = get("Host: "s + host + "\r\n", false);
    ASSERT_TRUE(r) << host;
    EXPECT_EQ(r->host, host);
  }
}

TEST(HttpHeadCheck, AbsoluteFormThatEqualsHostBecomesOriginForm) {
  auto text = head("GET http://RON.example/v1/o?a HTTP/1.1", "");
  auto r = check_head(text, limits);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->target, "/v1/o?a");
  text = head("GET https://ron.example HTTP/1.1", "");
  EXPECT_EQ(check_head(text, limits)->target, "/");
}

TEST(HttpHeadCheck, MethodsOfProxiesAreNotAllowed) {
  EXPECT_EQ(verdict(head("CONNECT ron.example:443 HTTP/1.1", "")), ec::method_not_allowed);
  EXPECT_EQ(verdict(head("TRACE / HTTP/1.1", "")), ec::method_not_allowed);
  EXPECT_EQ(verdict(head("OPTIONS * HTTP/1.1", "")), ec::method_not_allowed);
  for (auto m : {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"}) {
    auto text = head(m + " / HTTP/1.1"s, "");
    auto r = check_head(text, limits);
    ASSERT_TRUE(r) << m;
    EXPECT_EQ(to_string(r->verb), m);
  }
}

TEST(HttpHeadCheck, OnlyOneExpectationIsServed) {
  EXPECT_TRUE(get("Expect: 100-Continue\r\n")->expects_continue);
  EXPECT_EQ(get("Expect: 200-ok\r\n").error().code, ec::expectation_failed);
  EXPECT_EQ(get("Expect: 100-continue\r\nExpect: x\r\n").error().code, ec::expectation_failed);
  EXPECT_EQ(get("Expect:\r\n").error().code, ec::expectation_failed);
}

TEST(HttpHeadCheck, FieldsAndBytesAreBounded) {
  std::string fields;
  for (int i = 0; i < 99; ++i)
    fields += "X: 1\r\n";
  EXPECT_TRUE(get(fields)) << "Host and 99 more";
  EXPECT_EQ(get(fields + "X: 1\r\n").error().code, ec::headers_too_large);

  auto empty = head("GET / HTTP/1.1", "X: \r\n").size();
  EXPECT_TRUE(get("X: " + std::string(8192 - empty, 'a') + "\r\n"));
  EXPECT_EQ(get("X: " + std::string(8193 - empty, 'a') + "\r\n").error().code,
            ec::headers_too_large);
  EXPECT_EQ(verdict(head("GET /" + std::string(4095, 'a') + " HTTP/1.1", "")), ec::none);
  EXPECT_EQ(verdict(head("GET /" + std::string(4096, 'a') + " HTTP/1.1", "")),
            ec::headers_too_large);
}

TEST(HttpHeadCheck, EveryByteIsInItsClass) {
  constexpr std::string_view token_marks = "!#$%&'*+-.^_`|~";
  for (int c = 0; c < 256; ++c) {
    const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool token = letter || token_marks.find(static_cast<char>(c)) != token_marks.npos;
    const bool end_of_name = c == ':'; // splits the line one byte earlier
    EXPECT_EQ(bool(get("X"s + static_cast<char>(c) + "Y: 1\r\n")), (token && c) || end_of_name)
        << c;
    const bool value = c == '\t' || (c >= 0x20 && c != 0x7f);
    EXPECT_EQ(bool(get("X: a"s + static_cast<char>(c) + "b\r\n")), value) << c;
  }
}

TEST(HttpHeadScanner, FindsTheEndAtEverySplit) {
  auto text = head("GET / HTTP/1.1", "A: b\r\n");
  auto all = text + "BODY";
  for (std::size_t cut = 1; cut < all.size(); ++cut) {
    head_scanner s;
    auto first = s.scan(std::string_view{all}.substr(0, cut), limits);
    ASSERT_TRUE(first);
    if (cut < text.size()) {
      EXPECT_EQ(*first, 0u);
      first = s.scan(all, limits);
      ASSERT_TRUE(first);
    }
    EXPECT_EQ(*first, text.size());
  }
}

TEST(HttpHeadScanner, GivesUpEarly) {
  head_scanner s;
  EXPECT_EQ(s.scan("\x16\x03\x01", limits).error().code, ec::bad_request) << "TLS on a plain port";
  s.reset();
  EXPECT_EQ(s.scan("GET / HTTP/1.1\n", limits).error().code, ec::bad_request);
  s.reset();
  EXPECT_EQ(*s.scan("GET / HT", limits), 0u);
  EXPECT_EQ(s.scan("GET / HT" + std::string(8192, 'a'), limits).error().code,
            ec::headers_too_large);
}

TEST(HttpHeadScanner, AHeadOfExactlyTheBoundPasses) {
  auto empty = head("GET / HTTP/1.1", "X: \r\n").size();
  auto text = head("GET / HTTP/1.1", "X: " + std::string(8192 - empty, 'a') + "\r\n");
  head_scanner s;
  EXPECT_EQ(*s.scan(text + "more", limits), 8192u);
  s.reset();
  text = head("GET / HTTP/1.1", "X: " + std::string(8193 - empty, 'a') + "\r\n");
  EXPECT_EQ(s.scan(text, limits).error().code, ec::headers_too_large);
}

} // namespace
