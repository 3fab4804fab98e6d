#pragma once

#include "core/store/environment.hpp"
#include "core/store/faults.hpp"
#include "core/store/key.hpp"
#include "core/store/writer.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <future>
#include <latch>
#include <string>

#include <stdlib.h>

/// A store in a folder of its own, with two tables and injected faults.
namespace ron::test {

using namespace core;
using namespace core::store;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

inline constexpr table data{0};
inline constexpr table other{1};

inline byte_view text(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
inline std::string string(byte_view v) {
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

/// Fails every n-th call; 0 = never.
struct every_nth : faults {
  std::atomic<int> write_every{0}, sync_every{0};
  std::atomic<int> write_code{EIO}, sync_code{EIO};
  std::atomic<int> writes{0}, syncs{0};

  int on_write() noexcept override { return hit(++writes, write_every) ? write_code.load() : 0; }
  int on_sync() noexcept override { return hit(++syncs, sync_every) ? sync_code.load() : 0; }
  static bool hit(int n, int every) noexcept { return every > 0 && n % every == 0; }
};

struct StoreFixture : ::testing::Test {
  StoreFixture() {
    auto pattern = ::testing::TempDir() + "ron-store-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("no folder for the test");
    root = pattern;
  }
  ~StoreFixture() override {
    log.reset();
    env.reset();
    fs::remove_all(root);
  }

  environment_options options() const {
    environment_options out;
    out.path = root + "/db";
    out.map_bytes = 64u << 20;
    out.readers_max = 4;
    out.tables = {"data", "other"};
    return out;
  }
  void open(environment_options with, writer_limits limits = {}) {
    auto e = environment::open(std::move(with));
    ASSERT_TRUE(e) << e.error().message;
    env = std::move(*e);
    log = std::make_unique<writer>(*env, limits, &injected);
  }
  void open() { open(options()); }
  void close() {
    log.reset();
    env.reset();
  }

  using apply_fun = std::move_only_function<result<void>(transaction&)>;
  /// Submits without waiting.
  std::future<result<void>> submit(apply_fun apply, std::uint64_t source = 0, std::size_t n = 100,
                                   bool frees = false) {
    auto promise = std::make_shared<std::promise<result<void>>>();
    auto future = promise->get_future();
    log->submit({source, n, frees, std::move(apply),
                 [promise](result<void> r) { promise->set_value(std::move(r)); }});
    return future;
  }
  static result<void> wait(std::future<result<void>> f) {
    if (f.wait_for(30s) != std::future_status::ready)
      return fail(ec::timeout, "no outcome");
    return f.get();
  }
  result<void> write(apply_fun apply) { return wait(submit(std::move(apply))); }
  result<void> put(std::string k, std::string v) {
    return write([=](transaction& t) { return t.put(data, text(k), text(v)); });
  }
  std::string get(std::string_view k) {
    auto view = env->wait_and_read();
    if (!view)
      return "error " + view.error().message;
    auto v = view->get(data, text(k));
    return v ? string(*v) : std::string{to_string(v.error().code)};
  }

  std::string root;
  every_nth injected;
  std::unique_ptr<environment> env;
  std::unique_ptr<writer> log;
};

/// Holds the writer inside a job until `go`, so that a test can fill the queue behind it.
struct gate {
  std::latch entered{1};
  std::latch open{1};
  auto job() {
    return [this](transaction&) -> result<void> {
      entered.count_down();
      open.wait();
      return {};
    };
  }
};

} // namespace ron::test
