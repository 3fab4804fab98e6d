#pragma once

#include "mailbox/lmdb_journal.hpp"
#include "mailbox/partition.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <stdlib.h>

/// What tests of kept mail share: a folder, a journal with injected faults, a partition on it.
namespace ron::test {

namespace core = ::ron::core;
using namespace mailbox;
using namespace std::chrono_literals;
using core::ec;
using core::result;
namespace fs = std::filesystem;

/// Fails what it is told to.
struct set_faults : core::store::faults {
  std::atomic<int> write_code{0};
  std::atomic<int> sync_code{0};
  std::atomic<int> write_left{0}; ///< not 0: the write of this number from now fails, once
  std::atomic<int> sync_left{0};
  int on_write() noexcept override { return due(write_left) ? EIO : write_code.load(); }
  int on_sync() noexcept override { return due(sync_left) ? EIO : sync_code.load(); }
  static bool due(std::atomic<int>& left) noexcept { return left > 0 && --left == 0; }
};

/// A folder that goes with the test.
struct test_folder {
  test_folder() {
    auto pattern = ::testing::TempDir() + "ron-mail-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("no folder for the test");
    path = pattern;
  }
  ~test_folder() { fs::remove_all(path); }
  test_folder(const test_folder&) = delete;
  test_folder& operator=(const test_folder&) = delete;
  std::string path;
};

inline std::unique_ptr<journal> open_journal(const test_folder& in, const core::clock& clock,
                                             core::store::faults* injected = nullptr) {
  lmdb_journal_options o;
  o.path = in.path + "/mail";
  o.map_bytes = 256u << 20;
  auto db = open_lmdb_journal(o, clock, injected);
  if (!db)
    throw std::runtime_error(db.error().message);
  return std::move(*db);
}

/// A change of no partition: its body lies here until the tests end.
inline keep_mail change_of(std::uint64_t seq, mail_body body) {
  static std::deque<mail_body> bodies;
  keep_mail m;
  m.in = 1;
  m.seq = seq;
  m.topic = "t";
  m.body = &bodies.emplace_back(std::move(body));
  return m;
}

inline result<void> write(journal& to, std::vector<change> changes, std::uint64_t source = 0) {
  std::promise<result<void>> promise;
  to.write(source, std::move(changes), [&](result<void> r) { promise.set_value(std::move(r)); });
  return promise.get_future().get();
}

/// Reads a partition page by page; returns how many pages it took.
inline std::size_t load(journal& from, bucket_share share, partition& box) {
  std::size_t pages = 0;
  for (read_place at; !at.done; ++pages) {
    auto page = from.read(share, at);
    if (!page)
      throw std::runtime_error(page.error().message);
    EXPECT_LE(page->mail.size() + page->sends.size(), journal::page_entries_max);
    for (auto& m : page->mail)
      box.restore(std::move(m));
    for (auto& [in, s] : page->sends)
      box.restore(in, std::move(s));
    at = std::move(page->next);
  }
  return pages;
}

} // namespace ron::test
