#include "core/crypto/digest.hpp"
#include "tor/splits.hpp"
#include "transport/tor/control.hpp"

#include <gtest/gtest.h>

#include <random>

namespace ron::transport::tor {
namespace {

using namespace std::chrono_literals;
using core::instant;

const std::string service(56, 'q');
const std::string key = "ED25519-V3:QUJD+/==";
const std::string cookie(32, 'c');
const std::string server_nonce(32, 's');

/// What a daemon with this cookie answers to AUTHCHALLENGE.
std::string challenge_answer(const std::string& its_cookie, const control_settings& s) {
  const std::string name = "Tor safe cookie authentication server-to-controller hash";
  const auto message = its_cookie + std::string{s.nonce.begin(), s.nonce.end()} + server_nonce;
  return "250 AUTHCHALLENGE SERVERHASH="
         + core::to_hex(core::crypto::hmac_sha256(view_of(name), view_of(message)))
         + " SERVERNONCE=" + core::to_hex(view_of(server_nonce)) + "\r\n";
}

/// A machine and the time it lives in.
class Control : public testing::Test {
protected:
  Control() {
    settings.target = "127.0.0.1:4711";
    settings.nonce.fill('n');
    begin();
  }

  void begin() { m.emplace(settings, now); }
  void say(std::string_view text) { m->on_bytes(view_of(text), now); }

  /// Answers everything up to `last`, which is sent but not answered.
  void until(std::string_view last) {
    const std::pair<std::string, std::string> script[] = {
      {"PROTOCOLINFO 1",
       "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE,HASHEDPASSWORD "
       "COOKIEFILE=\"/run/tor/cookie\"\r\n250-VERSION Tor=\"0.4.8\"\r\n250 OK\r\n"},
      {"AUTHCHALLENGE", challenge_answer(cookie, settings)},
      {"AUTHENTICATE", "250 OK\r\n"},
      {"SETEVENTS STATUS_CLIENT HS_DESC", "250 OK\r\n"},
      {"GETINFO status/bootstrap-phase", phase(100)},
      {"ADD_ONION", "250-ServiceID=" + service + "\r\n250-PrivateKey=" + key + "\r\n250 OK\r\n"},
    };
    for (const auto& [command, answer] : script) {
      const auto sent = m->take_output();
      ASSERT_TRUE(sent.starts_with(command)) << sent << " instead of " << command;
      ASSERT_TRUE(sent.ends_with("\r\n"));
      if (command == last) {
        sent_ = sent;
        return;
      }
      say(answer);
      if (m->take_cookie_request())
        m->on_cookie(cookie, now);
      ASSERT_FALSE(m->failure()) << m->failure()->detail;
    }
  }

  static std::string phase(int percent) {
    return "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=" + std::to_string(percent)
           + " TAG=tag SUMMARY=\"Some PROGRESS=7 words\"\r\n250 OK\r\n";
  }
  static std::string uploaded(const std::string& id) {
    return "650 HS_DESC UPLOADED " + id + " UNKNOWN $AAAA~a1\r\n";
  }
  void expect(trouble why) {
    ASSERT_TRUE(m->failure());
    EXPECT_EQ(to_string(m->failure()->why), to_string(why)) << m->failure()->detail;
    EXPECT_EQ(m->take_output(), "");
    EXPECT_FALSE(m->is_published());
  }

  control_settings settings;
  instant now{1'000s};
  std::optional<control> m;
  std::string sent_;
};

TEST_F(Control, PublishesAndKeepsTheKey) {
  until("ADD_ONION");
  EXPECT_EQ(sent_, "ADD_ONION NEW:ED25519-V3 Port=9443,127.0.0.1:4711\r\n");
  EXPECT_EQ(m->bootstrap(), 100u);
  EXPECT_EQ(m->onion(), "");
  say("250-ServiceID=" + service + "\r\n250-PrivateKey=" + key + "\r\n250 OK\r\n");
  EXPECT_EQ(m->onion(), service + ".onion");
  EXPECT_EQ(m->take_new_key(), key);
  EXPECT_EQ(m->take_new_key(), std::nullopt);
  EXPECT_FALSE(m->is_published());
  say(uploaded(std::string(56, 'z'))); // another one's
  EXPECT_FALSE(m->is_published());
  say("650 HS_DESC FAILED " + service + " UNKNOWN $AAAA REASON=UPLOAD_REJECTED\r\n");
  EXPECT_FALSE(m->is_published());
  say(uploaded(service));
  EXPECT_TRUE(m->is_published());
}

TEST_F(Control, AServiceWithAKeyIsAskedForWithIt) {
  settings.key = key;
  settings.target = "unix:/run/ron/onion.sock";
  settings.onion_port = 443;
  begin();
  until("ADD_ONION");
  EXPECT_EQ(sent_, "ADD_ONION " + key + " Port=443,unix:/run/ron/onion.sock\r\n");
  say(uploaded(service) + "250-ServiceID=" + service + "\r\n250 OK\r\n"); // the event came first
  EXPECT_TRUE(m->is_published());
  EXPECT_EQ(m->take_new_key(), std::nullopt);
}

TEST_F(Control, EverySplitOfTheWholeConversationGivesTheSame) {
  const std::string all =
    "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=SAFECOOKIE COOKIEFILE=\"/c\"\r\n250 OK\r\n"
    + challenge_answer(cookie, settings) + "250 OK\r\n250 OK\r\n" + phase(50)
    + "650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n"
    + "250-ServiceID=" + service + "\r\n250-PrivateKey=" + key + "\r\n250 OK\r\n"
    + uploaded(service);
  const auto cut = all.find("250 AUTHCHALLENGE"); // the cookie is read in between
  for (std::size_t i = cut; i <= all.size(); ++i) {
    begin();
    for (std::size_t b = 0; b < cut; ++b)
      say(std::string_view{all}.substr(b, 1));
    ASSERT_EQ(m->take_cookie_request(), "/c");
    m->on_cookie(cookie, now);
    say(std::string_view{all}.substr(cut, i - cut));
    say(std::string_view{all}.substr(i));
    ASSERT_FALSE(m->failure()) << i << m->failure()->detail;
    EXPECT_TRUE(m->is_published());
    EXPECT_EQ(m->bootstrap(), 100u);
  }
}

TEST_F(Control, WatchesTheBootstrap) {
  until("GETINFO status/bootstrap-phase");
  say(phase(45));
  EXPECT_EQ(m->bootstrap(), 45u);
  EXPECT_EQ(m->take_output(), "") << "not yet";
  say("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=80 TAG=ap_conn SUMMARY=\"x\"\r\n");
  EXPECT_EQ(m->bootstrap(), 80u);
  say("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=101 TAG=done\r\n");
  say("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=-1 TAG=done\r\n");
  say("650 STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=1x TAG=done\r\n");
  say("650 STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED\r\n650 \r\n650 NEWS OF=another KIND\r\n");
  EXPECT_EQ(m->bootstrap(), 80u);
  now += settings.poll; // events may be missed: it is asked for, too
  m->on_time(now);
  EXPECT_EQ(m->take_output(), "GETINFO status/bootstrap-phase\r\n");
  say(phase(100));
  EXPECT_TRUE(m->take_output().starts_with("ADD_ONION NEW:"));
}

TEST_F(Control, ADaemonThatNeverGetsReadyIsAnErrorAfterTheTimeOut) {
  until("GETINFO status/bootstrap-phase");
  say(phase(45));
  for (int i = 0; i < 200 && !m->failure(); ++i) {
    ASSERT_GT(m->deadline(), now);
    now = m->deadline();
    m->on_time(now);
    if (!m->take_output().empty())
      say(phase(45));
  }
  EXPECT_EQ(now, instant{1'000s} + 120s);
  expect(trouble::bootstrap);
  EXPECT_NE(m->failure()->detail.find("45 % (tag)"), std::string::npos);
}

TEST_F(Control, ADescriptorThatNobodyTakesIsAnErrorAfterTheTimeOut) {
  until("ADD_ONION");
  say("250-ServiceID=" + service + "\r\n250-PrivateKey=" + key + "\r\n250 OK\r\n");
  now = instant{1'000s} + 120s;
  m->on_time(now);
  expect(trouble::publish);
}

TEST_F(Control, EveryCommandHasItsDeadline) {
  for (const auto* last :
       {"PROTOCOLINFO 1", "AUTHCHALLENGE", "AUTHENTICATE", "SETEVENTS STATUS_CLIENT HS_DESC",
        "GETINFO status/bootstrap-phase", "ADD_ONION"}) {
    now = instant{1'000s};
    begin();
    until(last);
    EXPECT_EQ(m->deadline(), now + settings.reply_timeout) << last;
    now += settings.reply_timeout - 1ms;
    m->on_time(now);
    EXPECT_FALSE(m->failure()) << last;
    now += 1ms;
    m->on_time(now);
    expect(trouble::silent);
  }
}

TEST_F(Control, AfterThatADaemonThatFallsSilentIsFound) {
  until("ADD_ONION");
  say("250-ServiceID=" + service + "\r\n250-PrivateKey=" + key + "\r\n250 OK\r\n"
      + uploaded(service));
  for (int i = 0; i < 100; ++i) {
    now = m->deadline();
    m->on_time(now);
    EXPECT_EQ(m->take_output(), "GETINFO status/bootstrap-phase\r\n");
    say(phase(100));
    EXPECT_TRUE(m->is_published());
  }
  now = m->deadline();
  m->on_time(now);
  now = m->deadline();
  m->on_time(now);
  expect(trouble::silent);
}

TEST_F(Control, ADaemonThatDoesNotKnowTheCookieSeesNothingOfIt) {
  until("AUTHCHALLENGE");
  EXPECT_EQ(sent_.find(core::to_hex(view_of(cookie))), std::string::npos);
  say(challenge_answer(std::string(32, 'x'), settings));
  expect(trouble::auth);
}

TEST_F(Control, AnswersThatAreNoneAreRefused) {
  const std::tuple<std::string, std::string, trouble> wrong[] = {
    {"PROTOCOLINFO 1", "250 OK\r\n", trouble::protocol},
    {"PROTOCOLINFO 1", "250-AUTH METHODS=HASHEDPASSWORD\r\n250 OK\r\n", trouble::auth},
    {"PROTOCOLINFO 1", "250-AUTH METHODS=SAFECOOKIE\r\n250 OK\r\n", trouble::protocol},
    {"PROTOCOLINFO 1", "250-AUTH METHODS=SAFECOOKIE COOKIEFILE=\"a\"\r\n250 OK\r\n",
     trouble::protocol},
    {"PROTOCOLINFO 1",
     "250-AUTH METHODS=COOKIE COOKIEFILE=\"/" + std::string(1'024, 'a') + "\"\r\n250 OK\r\n",
     trouble::protocol},
    {"PROTOCOLINFO 1", "510 Unrecognized\r\n", trouble::protocol},
    {"PROTOCOLINFO 1", "220 mail.example ESMTP\r\n", trouble::protocol},
    {"PROTOCOLINFO 1", "HTTP/1.1 400 Bad Request\r\n", trouble::protocol},
    {"AUTHCHALLENGE", "250 AUTHCHALLENGE SERVERHASH=00 SERVERNONCE=00\r\n", trouble::protocol},
    {"AUTHCHALLENGE",
     "250 AUTHCHALLENGE SERVERHASH=" + std::string(64, 'g') + " SERVERNONCE=" + std::string(64, '0')
       + "\r\n",
     trouble::protocol},
    {"AUTHCHALLENGE", "551 no\r\n", trouble::auth},
    {"AUTHENTICATE", "515 Bad authentication\r\n", trouble::auth},
    {"ADD_ONION", "512 Invalid\x1b key\r\n", trouble::publish},
    {"ADD_ONION", "250 OK\r\n", trouble::protocol},
    {"ADD_ONION", "250-ServiceID=../../etc\r\n250 OK\r\n", trouble::protocol},
    {"ADD_ONION", "250-ServiceID=" + service + "\r\n250 OK\r\n", trouble::protocol}, // no key
    {"ADD_ONION", "250-ServiceID=" + service + "\r\n250-PrivateKey=RSA1024:AA\r\n250 OK\r\n",
     trouble::protocol},
    {"SETEVENTS STATUS_CLIENT HS_DESC", "250 OK\r\n250 OK\r\n250 OK\r\n", trouble::protocol},
  };
  for (const auto& [last, answer, why] : wrong) {
    begin();
    until(last);
    say(answer);
    SCOPED_TRACE(last + ": " + answer);
    expect(why);
    for (const char c : m->failure()->detail)
      EXPECT_TRUE(c >= ' ' && c <= '~');
    say("250 OK\r\n"); // nothing more is taken
    m->on_eof();
    m->on_time(now + 1h);
    EXPECT_EQ(m->failure()->why, why);
  }
}

TEST_F(Control, ACookieThatCannotBeReadIsSaid) {
  for (const auto& content : {std::optional<std::string>{}, std::optional{std::string(31, 'c')},
                              std::optional{std::string(33, 'c')}}) {
    begin();
    m->take_output();
    say("250-AUTH METHODS=SAFECOOKIE COOKIEFILE=\"/run/tor/cookie\"\r\n250 OK\r\n");
    EXPECT_EQ(m->take_cookie_request(), "/run/tor/cookie");
    EXPECT_EQ(m->take_cookie_request(), std::nullopt);
    m->on_cookie(content, now);
    expect(trouble::auth);
    EXPECT_NE(m->failure()->detail.find("/run/tor/cookie"), std::string::npos);
  }
}

TEST_F(Control, AnOldDaemonIsShownTheCookie) {
  m->take_output();
  say("250-AUTH METHODS=COOKIE COOKIEFILE=\"/c\"\r\n250 OK\r\n");
  EXPECT_EQ(m->take_cookie_request(), "/c");
  m->on_cookie(cookie, now);
  EXPECT_EQ(m->take_output(), "AUTHENTICATE " + core::to_hex(view_of(cookie)) + "\r\n");
}

TEST_F(Control, AnEndIsAFailureUnlessWeSaidGoodbye) {
  until("ADD_ONION");
  say("250-ServiceID=" + service + "\r\n250-PrivateKey=" + key + "\r\n250 OK\r\n"
      + uploaded(service));
  m->stop(now);
  EXPECT_EQ(m->take_output(), "DEL_ONION " + service + "\r\nQUIT\r\n");
  EXPECT_FALSE(m->is_published());
  say("250 OK\r\n250 closing connection\r\n");
  m->on_eof();
  EXPECT_FALSE(m->failure());
  begin();
  m->on_eof();
  expect(trouble::lost);
  m->stop(now);
  EXPECT_EQ(m->take_output(), "");
}

TEST_F(Control, OnionKeysAreWhatTheDaemonGivesAndNothingElse) {
  EXPECT_TRUE(is_onion_key(key));
  for (const auto* text : {"", "ED25519-V3:", "ED25519-V3:a b", "ED25519-V3:a\r\nQUIT",
                           "RSA1024:aa", "NEW:ED25519-V3"})
    EXPECT_FALSE(is_onion_key(text)) << text;
  EXPECT_FALSE(is_onion_key("ED25519-V3:" + std::string(118, 'a')));
}

// Whatever is said, nothing is kept beyond the bounds, and a failure is for ever.
TEST_F(Control, RandomWordsOfTheLanguageDoNotBreakIt) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random{seed};
  const std::string words[] = {"250",
                               "650",
                               "515",
                               "-",
                               "+",
                               " ",
                               "\r\n",
                               ".",
                               "OK",
                               "=",
                               "\"",
                               "\\",
                               "AUTH METHODS=SAFECOOKIE",
                               "COOKIEFILE=\"/c\"",
                               "PROGRESS=100",
                               "STATUS_CLIENT NOTICE BOOTSTRAP ",
                               "HS_DESC UPLOADED ",
                               service,
                               "ServiceID=",
                               "PrivateKey=",
                               key,
                               "\0",
                               "\xff",
                               "250 OK\r\n"};
  for (int run = 0; run < 2'000; ++run) {
    begin();
    bool failed = false;
    for (int i = 0; i < 60; ++i) {
      say(words[random() % std::size(words)]);
      if (m->take_cookie_request())
        m->on_cookie(cookie, now);
      EXPECT_LE(m->take_output().size(), 512u);
      EXPECT_LE(m->bootstrap(), 100u);
      EXPECT_TRUE(!failed || m->failure());
      failed = m->failure().has_value();
    }
  }
}

} // namespace
} // namespace ron::transport::tor
