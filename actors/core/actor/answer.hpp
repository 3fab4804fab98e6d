#pragma once

#include "core/actor/caf_error.hpp"
#include "core/error.hpp"

#include <caf/typed_response_promise.hpp>

#include <memory>
#include <utility>

namespace ron::core {

/// One request that waits for its answer, whichever way it came. Answered once, on the shard of who
/// serves it; later calls do nothing.
template <class T>
class pending_answer {
public:
  virtual ~pending_answer() = default;
  virtual void deliver(T value) = 0;
  virtual void fail(error why) = 0;
  /// Who serves it has let go of it without an answer. Any thread.
  virtual void drop() noexcept = 0;
};

/// What a role answers by: into the actor that asked in place, or as a message. Move-only; the
/// shard of the role, but for its destructor. One that goes without an answer fails a request that
/// was made in place with `ec::degraded`; a message is left to its deadline.
template <class T>
class answer_to {
public:
  answer_to() noexcept = default;
  explicit answer_to(std::shared_ptr<pending_answer<T>> to) noexcept : to_(std::move(to)) {}
  explicit answer_to(caf::typed_response_promise<T> promise)
    : to_(std::make_shared<message>(std::move(promise))) {
    // nop
  }
  answer_to(answer_to&&) noexcept = default;
  answer_to& operator=(answer_to&& o) noexcept {
    drop();
    to_ = std::move(o.to_);
    return *this;
  }
  ~answer_to() { drop(); }

  void deliver(T value) {
    if (auto to = std::exchange(to_, nullptr))
      to->deliver(std::move(value));
  }
  void fail(error why) {
    if (auto to = std::exchange(to_, nullptr))
      to->fail(std::move(why));
  }

private:
  class message final : public pending_answer<T> {
  public:
    explicit message(caf::typed_response_promise<T> p) : promise_(std::move(p)) {}
    void deliver(T value) override { promise_.deliver(std::move(value)); }
    void fail(error why) override { promise_.deliver(to_caf(why)); }
    void drop() noexcept override {
      // nop: its asker has set a timer
    }

  private:
    caf::typed_response_promise<T> promise_;
  };

  void drop() noexcept {
    if (auto to = std::exchange(to_, nullptr))
      to->drop();
  }

  std::shared_ptr<pending_answer<T>> to_;
};

} // namespace ron::core
