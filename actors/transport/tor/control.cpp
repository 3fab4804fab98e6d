#include "transport/tor/control.hpp"

#include "core/crypto/digest.hpp"
#include "core/crypto/secure_wipe.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace ron::transport::tor {

namespace {

using core::byte_view;
using core::crypto::sha256_digest;
using core::instant;

constexpr std::uint16_t status_ok = 250;
constexpr std::uint16_t status_event = 650;
constexpr std::size_t path_max = 1'024;
constexpr std::size_t service_letters = 56;
constexpr std::size_t key_max = 128; // ED25519-V3: and 88 letters today
constexpr std::string_view key_prefix = "ED25519-V3:";

// control-spec, section 3.24.
constexpr std::string_view server_key = "Tor safe cookie authentication server-to-controller hash";
constexpr std::string_view client_key = "Tor safe cookie authentication controller-to-server hash";

byte_view view_of(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::string_view text_of(byte_view v) {
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

std::optional<sha256_digest> digest_of(std::string_view hex) {
  sha256_digest out{};
  if (hex.size() != 2 * out.size() || !core::from_hex(hex, out))
    return std::nullopt;
  return out;
}

bool is_service(std::string_view id) noexcept {
  return id.size() == service_letters && std::ranges::all_of(id, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
         });
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == word)
      return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

/// The words of a line, at most `n`; what is behind them is ignored.
template <std::size_t n>
std::array<std::string_view, n> words(std::string_view line) {
  std::array<std::string_view, n> out{};
  for (auto& word : out) {
    const auto space = std::min(line.find(' '), line.size());
    word = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
  }
  return out;
}

} // namespace

bool is_onion_key(std::string_view text) noexcept {
  return text.starts_with(key_prefix) && text.size() > key_prefix.size() && text.size() <= key_max
         && std::ranges::all_of(text.substr(key_prefix.size()), [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                     || c == '+' || c == '/' || c == '=';
            });
}

control::control(control_settings settings, instant now) : settings_(std::move(settings)) {
  ready_by_ = now + settings_.bootstrap_timeout;
  command("PROTOCOLINFO 1", now);
}

// -- in --------------------------------------------------------------------------

void control::on_bytes(byte_view in, instant now) {
  if (failure_)
    return;
  std::vector<control_reply> replies;
  const bool sound = reader_.feed(in, replies);
  for (const auto& r : replies) {
    if (failure_)
      return;
    if (r.status == status_event)
      on_event(r, now);
    else
      on_reply(r, now);
  }
  if (!sound && !failure_)
    fail(trouble::protocol, "no reply of a control port");
}

void control::on_cookie(std::optional<std::string> content, instant now) {
  if (step_ != step::cookie)
    return;
  if (!content || content->size() != cookie_bytes)
    return fail(trouble::auth, "cannot read " + cookie_file_);
  cookie_ = std::move(*content);
  if (!safe_)
    return authenticate(core::to_hex(view_of(cookie_)), now);
  step_ = step::challenge;
  command("AUTHCHALLENGE SAFECOOKIE " + core::to_hex(settings_.nonce), now);
}

void control::on_eof() {
  if (!failure_ && step_ != step::stopping)
    fail(trouble::lost, "");
}

void control::on_time(instant now) {
  if (failure_)
    return;
  if (awaiting_ && now >= reply_by_)
    return fail(trouble::silent, "");
  if (step_ < step::up && now >= ready_by_) {
    if (step_ <= step::bootstrap)
      return fail(trouble::bootstrap, "at " + std::to_string(bootstrap_) + " % (" + tag_ + ")");
    return fail(trouble::publish, "no directory took the descriptor in time");
  }
  const bool asks = step_ == step::bootstrap || step_ == step::publish || step_ == step::up;
  if (asks && !awaiting_ && now >= poll_at_)
    command("GETINFO status/bootstrap-phase", now);
}

void control::stop(instant now) {
  if (failure_ || step_ == step::stopping)
    return;
  if (!service_.empty())
    out_ += "DEL_ONION " + service_ + "\r\n";
  step_ = step::stopping;
  command("QUIT", now);
}

// -- out -------------------------------------------------------------------------

std::string control::take_output() {
  return std::exchange(out_, {});
}

std::optional<std::string> control::take_cookie_request() {
  if (!std::exchange(cookie_wanted_, false))
    return std::nullopt;
  return cookie_file_;
}

std::optional<std::string> control::take_new_key() {
  return std::exchange(new_key_, std::nullopt);
}

instant control::deadline() const noexcept {
  const auto next = awaiting_ ? reply_by_ : poll_at_;
  return step_ < step::up ? std::min(next, ready_by_) : next;
}

// -- the conversation --------------------------------------------------------------

void control::command(std::string text, instant now) {
  out_ += text + "\r\n";
  core::crypto::secure_wipe(text);
  awaiting_ = true;
  reply_by_ = now + settings_.reply_timeout;
}

void control::on_reply(const control_reply& r, instant now) {
  if (step_ == step::stopping)
    return; // two commands are out, and nothing hangs on their replies
  if (!std::exchange(awaiting_, false))
    return fail(trouble::protocol, "a reply to nothing");
  if (r.status != status_ok)
    return refuse(r);
  poll_at_ = now + settings_.poll;
  switch (step_) {
  case step::protocol_info:
    return choose_auth(r);
  case step::challenge:
    return check_challenge(r, now);
  case step::authenticate:
    step_ = step::events;
    return command("SETEVENTS STATUS_CLIENT HS_DESC", now);
  case step::events:
    step_ = step::bootstrap;
    return command("GETINFO status/bootstrap-phase", now);
  case step::bootstrap:
  case step::publish:
  case step::up:
    return take_phase(r, now);
  case step::add_onion:
    return take_service(r, now);
  case step::cookie:
  case step::stopping:
  case step::failed:
    break;
  }
}

void control::on_event(const control_reply& r, instant now) {
  const auto w = words<3>(r.lines.front());
  if (w[0] == "STATUS_CLIENT" && w[2] == "BOOTSTRAP") {
    if (step_ >= step::events)
      take_phase(r, now);
  } else if (w[0] == "HS_DESC" && w[1] == "UPLOADED" && is_service(w[2])) {
    uploaded_service_ = w[2];
    advance(now);
  }
}

void control::choose_auth(const control_reply& r) {
  for (const auto& line : r.lines) {
    if (!line.starts_with("AUTH "))
      continue;
    const auto methods = word_value(line, "METHODS");
    cookie_file_ = word_value(line, "COOKIEFILE");
    safe_ = has_word(methods, "SAFECOOKIE");
    if (!safe_ && !has_word(methods, "COOKIE"))
      return fail(trouble::auth, "it offers " + methods);
    if (!cookie_file_.starts_with('/') || cookie_file_.size() > path_max
        || cookie_file_.find('\0') != std::string::npos)
      return fail(trouble::protocol, "no path of a cookie file");
    step_ = step::cookie;
    cookie_wanted_ = true;
    return;
  }
  fail(trouble::protocol, "PROTOCOLINFO without AUTH");
}

/// The daemon proves that it knows the cookie, or whoever listens there would be shown any file of
/// 32 bytes that it names.
void control::check_challenge(const control_reply& r, instant now) {
  const auto theirs = digest_of(word_value(r.lines.front(), "SERVERHASH"));
  const auto nonce = digest_of(word_value(r.lines.front(), "SERVERNONCE"));
  if (!theirs || !nonce)
    return fail(trouble::protocol, "no answer to AUTHCHALLENGE");
  auto message = cookie_;
  message += text_of(settings_.nonce);
  message += text_of(*nonce);
  const bool same = core::crypto::equal_secrets(
    *theirs, core::crypto::hmac_sha256(view_of(server_key), view_of(message)));
  const auto proof = core::crypto::hmac_sha256(view_of(client_key), view_of(message));
  core::crypto::secure_wipe(message);
  if (!same)
    return fail(trouble::auth, "the control port does not know the cookie in " + cookie_file_);
  authenticate(core::to_hex(proof), now);
}

void control::authenticate(std::string hex, instant now) {
  core::crypto::secure_wipe(cookie_);
  cookie_.clear();
  step_ = step::authenticate;
  command("AUTHENTICATE " + hex, now);
  core::crypto::secure_wipe(hex);
}

void control::take_phase(const control_reply& r, instant now) {
  for (const auto& line : r.lines) {
    const auto text = word_value(line, "PROGRESS");
    std::uint32_t progress = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), progress);
    if (text.empty() || wrong != std::errc{} || end != text.data() + text.size() || progress > 100)
      continue;
    bootstrap_ = progress;
    tag_ = printable(word_value(line, "TAG"));
  }
  advance(now);
}

void control::advance(instant now) {
  if (step_ == step::bootstrap && bootstrap_ == 100 && !awaiting_) {
    step_ = step::add_onion;
    auto text = "ADD_ONION " + (settings_.key.empty() ? "NEW:ED25519-V3" : settings_.key)
                + " Port=" + std::to_string(settings_.onion_port) + ',' + settings_.target;
    command(std::move(text), now);
  } else if (step_ == step::publish && uploaded_service_ == service_) {
    step_ = step::up;
  }
}

void control::take_service(const control_reply& r, instant now) {
  for (const auto& line : r.lines) {
    const auto service = word_value(line, "ServiceID");
    auto key = word_value(line, "PrivateKey");
    if (!service.empty() && is_service(service))
      service_ = service;
    if (is_onion_key(key))
      new_key_ = std::move(key);
  }
  if (service_.empty())
    return fail(trouble::protocol, "ADD_ONION without a service");
  if (settings_.key.empty() && !new_key_)
    return fail(trouble::protocol, "ADD_ONION without a key");
  step_ = step::publish;
  advance(now);
}

void control::refuse(const control_reply& r) {
  const auto said = std::to_string(r.status) + ' ' + printable(r.lines.front());
  switch (step_) {
  case step::add_onion:
    return fail(trouble::publish, said);
  case step::challenge:
  case step::authenticate:
    return fail(trouble::auth, said);
  default:
    return fail(trouble::protocol, said);
  }
}

void control::fail(trouble why, std::string_view said) {
  step_ = step::failed;
  awaiting_ = false;
  core::crypto::secure_wipe(out_);
  out_.clear();
  core::crypto::secure_wipe(cookie_);
  cookie_.clear();
  failure_ = {why, printable(said)};
}

} // namespace ron::transport::tor
