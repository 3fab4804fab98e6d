#pragma once

#include "core/actor/downstream.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "mailbox/messages.hpp"
#include "transport/operation.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

/// What the operations of the mailbox have in common.
namespace ron::mailbox {

using role = core::downstream<mailbox_actor>;

inline constexpr std::size_t topic_bytes_max = 255;
/// Messages that one call sends or receives.
inline constexpr std::uint64_t messages_a_call_max = 100;

inline std::string read_topic(core::object_reader& in) {
  return in.text("topic", {.min_bytes = 1, .max_bytes = topic_bytes_max});
}

inline auto fail_with(transport::exchange_ptr x) {
  return [x](core::error e) { x->fail(std::move(e)); };
}

inline void reply(const transport::exchange_ptr& x, core::json result,
                  std::uint16_t status = 200) {
  transport::answer a;
  a.status = status;
  a.result = std::move(result);
  x->reply(std::move(a));
}

/// To a call that came packed.
inline void reply_packed(const transport::exchange_ptr& x, core::bytes result,
                         std::uint16_t status = 200) {
  transport::answer a;
  a.status = status;
  a.packed = std::move(result);
  x->reply(std::move(a));
}

} // namespace ron::mailbox
