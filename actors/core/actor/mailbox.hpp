#pragma once

#include "core/actor/probe.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/error.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message_id.hpp>
#include <caf/system_messages.hpp>
#include <caf/type_nr.hpp>

#include <source_location>

namespace ron::core {

/// True for what a full mailbox takes all the same: responses, urgent messages, the actor's own
/// timers, and the system's words about life and death. Looks only at what never changes, because
/// it is asked when a message comes in and again when it goes out.
inline bool passes_bound(const caf::mailbox_element& what,
                         const caf::actor_control_block* self) noexcept {
  if (what.mid.is_response() || what.mid.category() != caf::message_id::normal_message_category)
    return true;
  if (what.sender.get() == self)
    return true;
  switch (what.content().type_token()) {
    case caf::make_type_token<caf::exit_msg>():
    case caf::make_type_token<caf::down_msg>():
    case caf::make_type_token<caf::timeout_msg>():
    case caf::make_type_token<caf::error>():
      return true;
    default:
      return false;
  }
}

/// Counts what is in one actor's mailbox and says no at the bound. The part of `bounded` that
/// does not depend on the actor's type.
class mailbox_gate {
public:
  explicit mailbox_gate(caf::actor_control_block* self) noexcept { probe_.control = self; }

  /// Counts `what` in; false at the bound. Any thread.
  bool admit(const caf::mailbox_element& what) noexcept {
    if (passes_bound(what, probe_.control))
      return true;
    auto before = probe_.depth.fetch_add(1, std::memory_order_relaxed);
    if (before >= probe_.bound.load(std::memory_order_relaxed)) {
      probe_.depth.fetch_sub(1, std::memory_order_relaxed);
      return false;
    }
    if (before >= probe_.high_water.load(std::memory_order_relaxed))
      raise_high_water(before + 1);
    return true;
  }

  /// Answers a request with `busy`, "mailbox_full"; counts a plain message as dropped. Any thread.
  void refuse(const caf::mailbox_element& what, caf::execution_unit* unit);

  /// Answers a request whose handler threw, unless it was answered before. The actor itself.
  void answer_failed(const caf::mailbox_element& what, caf::execution_unit* unit);

  /// Follows one message through its handler, which may throw: it stays counted only when the
  /// handler skipped it, because then it stays in the mailbox.
  class handling {
  public:
    handling(mailbox_gate& gate, const caf::mailbox_element& what) noexcept
      : probe_(gate.probe_), counted_(!passes_bound(what, gate.probe_.control)),
        tag_(message_tag::of(what.content())) {
      // nop
    }
    handling(const handling&) = delete;
    handling& operator=(const handling&) = delete;
    ~handling() {
      if (skipped_)
        return;
      if (counted_)
        probe_.depth.fetch_sub(1, std::memory_order_relaxed);
      probe_.handled(tag_);
    }
    void skipped() noexcept { skipped_ = true; }

  private:
    probe& probe_;
    bool counted_;
    bool skipped_ = false;
    message_tag tag_;
  };

  /// Fills in origin and bound from the spawn scope and enters the directory. Once, before
  /// anybody has a handle of the actor.
  void open(const char* type);
  /// Leaves the directory; from now on nothing is counted or refused here, so that a late request
  /// gets the closed mailbox's own answer. Idempotent. The actor itself.
  void close(const caf::error& reason);

  probe& observed() noexcept { return probe_; }
  const probe& observed() const noexcept { return probe_; }

private:
  void raise_high_water(std::uint32_t depth) noexcept;

  probe probe_;
  bool open_ = false;
};

/// Facts about a spawn that CAF does not hand to the actor. While one of these lives on a thread,
/// the next bounded actor launched there takes them.
class spawn_scope {
public:
  spawn_scope(std::uint64_t parent, std::uint32_t bound, std::source_location site) noexcept;
  spawn_scope(const spawn_scope&) = delete;
  spawn_scope& operator=(const spawn_scope&) = delete;
  ~spawn_scope();

  std::uint64_t parent;
  std::uint32_t bound;  ///< 0 = by type
  std::source_location site;

  /// The innermost scope of this thread, for one actor: the second call gives null.
  static const spawn_scope* take() noexcept;

private:
  const spawn_scope* outer_;
};

} // namespace ron::core
