#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "transport/tor/control_reader.hpp"
#include "transport/tor/unavailable.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ron::transport::tor {

/// What a controller wants of its daemon.
struct control_settings {
  std::uint16_t onion_port = 9'443;     ///< of the onion address
  std::string target;                   ///< "127.0.0.1:4711" or "unix:/path": where it leads
  std::string key;                      ///< as `is_onion_key` says; empty: a new one, a new address
  std::array<std::uint8_t, 32> nonce{}; ///< random, new for every connection
  std::chrono::milliseconds reply_timeout{10'000};
  std::chrono::milliseconds bootstrap_timeout{120'000}; ///< from the start until published
  std::chrono::milliseconds poll{5'000};                ///< asks if the daemon lives
};

/// "ED25519-V3:" and base64: a private key as the control port gives and takes it.
bool is_onion_key(std::string_view text) noexcept;

/// A connection to a Tor daemon's control port (Tor's control-spec) that has the daemon publish
/// one onion service: PROTOCOLINFO, SAFECOOKIE or COOKIE authentication, events on, bootstrap
/// watched, ADD_ONION, its descriptor uploaded, then a question now and then. Pure: events and the
/// time in, text out. One connection, one owner; after a failure a new machine for a new
/// connection.
///
/// The service lives as long as the connection: the daemon takes it down when that ends.
/// Bounds: one command at a time, each with `reply_timeout`; replies as `control_reader` says.
class control {
public:
  static constexpr std::size_t cookie_bytes = 32;

  control(control_settings settings, core::instant now);

  // -- what comes in ---------------------------------------------------------------
  void on_bytes(core::byte_view in, core::instant now);
  /// The content of the file that `take_cookie_request` named; nothing if it cannot be read.
  void on_cookie(std::optional<std::string> content, core::instant now);
  void on_eof();
  /// Time has passed; at `deadline` at the latest.
  void on_time(core::instant now);
  /// Takes the service down in good order; the daemon closes the connection.
  void stop(core::instant now);

  // -- what goes out ---------------------------------------------------------------
  /// Text to send now, each once.
  std::string take_output();
  /// The path of the cookie file, once, when its content is needed.
  std::optional<std::string> take_cookie_request();
  /// The key of a service that was made new, once. A secret.
  std::optional<std::string> take_new_key();
  core::instant deadline() const noexcept;

  // -- how it stands ---------------------------------------------------------------
  /// 0..100.
  std::uint32_t bootstrap() const noexcept { return bootstrap_; }
  /// At least one directory has the descriptor: clients find the service.
  bool is_published() const noexcept { return step_ == step::up; }
  /// "<56 letters>.onion"; empty before the daemon named it.
  std::string onion() const { return service_.empty() ? std::string{} : service_ + ".onion"; }
  /// Set when nothing more will come of this connection.
  const std::optional<unavailable>& failure() const noexcept { return failure_; }
  bool is_stopping() const noexcept { return step_ == step::stopping; }

private:
  enum class step : std::uint8_t {
    protocol_info,
    cookie,
    challenge,
    authenticate,
    events,
    bootstrap,
    add_onion,
    publish,
    up,
    stopping,
    failed,
  };

  void command(std::string text, core::instant now);
  void on_reply(const control_reply& r, core::instant now);
  void on_event(const control_reply& r, core::instant now);
  void choose_auth(const control_reply& r);
  void check_challenge(const control_reply& r, core::instant now);
  void authenticate(std::string hex, core::instant now);
  void take_phase(const control_reply& r, core::instant now);
  void advance(core::instant now);
  void take_service(const control_reply& r, core::instant now);
  void refuse(const control_reply& r);
  void fail(trouble why, std::string_view said);

  control_settings settings_;
  step step_ = step::protocol_info;
  control_reader reader_;
  std::string out_;
  bool awaiting_ = false; ///< a command has no reply yet
  core::instant reply_by_{};
  core::instant ready_by_{}; ///< bootstrapped and published
  core::instant poll_at_{};
  bool safe_ = false; ///< SAFECOOKIE
  std::string cookie_file_;
  bool cookie_wanted_ = false;
  std::string cookie_;
  std::uint32_t bootstrap_ = 0;
  std::string tag_;
  std::string service_;
  std::string uploaded_service_; ///< the event may come before the reply to ADD_ONION
  std::optional<std::string> new_key_;
  std::optional<unavailable> failure_;
};

} // namespace ron::transport::tor
