#include "core/actor/caf_error.hpp"

#include <caf/atom.hpp>
#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>

namespace ron::core {

namespace {

constexpr caf::atom_value ours = caf::atom("ron");

// The context holds the message and the retry time, or less when somebody had less to say.
error unpack(const caf::error& e) {
  error out{static_cast<ec>(e.code()), {}};
  const auto& context = e.context();
  if (context.size() > 0 && context.match_element<std::string>(0))
    out.message = context.get_as<std::string>(0);
  if (context.size() > 1 && context.match_element<std::uint32_t>(1))
    out.retry_after_ms = context.get_as<std::uint32_t>(1);
  return out;
}

bool is_gone(const caf::error& e) {
  return e.category() == caf::make_error(caf::exit_reason::kill).category()
         || e == caf::sec::request_receiver_down || e == caf::sec::invalid_argument
         || e == caf::sec::no_actor_published_at_port || e == caf::sec::socket_disconnected;
}

} // namespace

caf::error to_caf(const error& e) {
  return caf::make_error(e.code, e.message, e.retry_after_ms);
}

error to_error(const caf::error& e) {
  if (!e)
    return {ec::internal, "an actor failed without saying why"};
  if (e.category() == ours)
    return unpack(e);
  if (e == caf::sec::request_timeout)
    return {ec::downstream_timeout, "no answer in time"};
  if (is_gone(e))
    return {ec::degraded, "the actor asked is not there"};
  return {ec::internal, caf::to_string(e)};
}

caf::error to_caf(const std::exception_ptr& e) {
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& known) {
    return to_caf(error{ec::internal, known.what()});
  } catch (...) {
    return to_caf(error{ec::internal, "an unknown exception"});
  }
}

std::string render_error(std::uint8_t code, caf::atom_value, const caf::message& context) {
  auto e = unpack(caf::error{code, ours, context});
  std::string out{to_string(e.code)};
  if (!e.message.empty())
    out += ": " + e.message;
  return out;
}

} // namespace ron::core
