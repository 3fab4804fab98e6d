#include "stores/verify.hpp"

#include "core/clock.hpp"
#include "core/store/log_files.hpp"
#include "index/verify.hpp"
#include "mailbox/verify.hpp"
#include "storage/verify.hpp"

#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace ron::stores {

namespace {

using core::ec;
using core::fail;
using core::result;
using core::store::check_log;

/// Bytes that are looked at before the parent hears of it.
constexpr std::uint64_t passed_step = 1u << 20;
/// LMDB goes round and round in pages that lead back to each other: who computes for so long
/// without a step forward is ended.
constexpr itimerval patience{{}, {10, 0}};

void forward() {
  ::setitimer(ITIMER_VIRTUAL, &patience, nullptr);
}

result<void> verify_here(const place& which, check_log& log) {
  switch (which.is) {
  case kind::index:
    return index::verify_store(which.path, log);
  case kind::storage:
    return storage::verify_store(which.path, log);
  case kind::mailbox:
    break;
  }
  const core::system_clock clock;
  return mailbox::verify_store(which.path, clock, log);
}

// -- what the child says: a letter and a text per line ------------------------------------------

constexpr char says_damaged = 'D';
constexpr char says_passed = 'P'; // number
constexpr char says_count = 'C';  // number, space, noun
constexpr char says_error = 'E';  // number of the `ec`, space, message

void say(std::FILE* to, char what, std::string text) {
  std::ranges::replace(text, '\n', ' ');
  std::fprintf(to, "%c%s\n", what, text.c_str());
}

/// Of a store's data and log.
std::uint64_t bytes_of(const std::string& path) {
  auto size = [](const std::string& name) {
    struct stat file{};
    return ::stat(name.c_str(), &file) == 0 ? static_cast<std::uint64_t>(file.st_size) : 0;
  };
  auto sum = size(path + "/data.mdb");
  for (std::size_t slot = 0; slot < core::store::log_files_in(path); ++slot)
    sum += size(core::store::log_file_name(path, slot));
  return sum;
}

[[noreturn]] void be_child(const place& which, int fd) {
  auto* out = ::fdopen(fd, "w");
  if (out == nullptr)
    ::_exit(1);
  const auto most = 2 * bytes_of(which.path); // nothing is stored twice
  std::uint64_t passed = 0;
  std::uint64_t total = 0;
  check_log log;
  log.damaged = [out](const std::string& line) { say(out, says_damaged, line); };
  log.passed = [&](std::uint64_t n) {
    passed += n;
    total += n;
    if (total > most) {
      say(out, says_damaged, "the structure of " + which.path + "/data.mdb leads in circles");
      ::_exit(std::fclose(out) == 0 ? 0 : 1);
    }
    if (passed < passed_step)
      return;
    forward();
    say(out, says_passed, std::to_string(std::exchange(passed, 0)));
    std::fflush(out); // what was found so far is not lost with the process
  };
  forward();
  const auto ok = verify_here(which, log);
  if (!ok)
    say(out, says_error,
        std::to_string(static_cast<int>(ok.error().code)) + ' ' + ok.error().message);
  for (const auto& [noun, n] : log.counts)
    say(out, says_count, std::to_string(n) + ' ' + noun);
  say(out, says_passed, std::to_string(passed));
  ::_exit(std::fclose(out) == 0 ? 0 : 1);
}

// -- what the parent hears ------------------------------------------------------------------------

void hear(std::string_view line, check_log& log, result<void>& outcome) {
  const auto text = line.substr(1);
  std::uint64_t n = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), n);
  const auto rest = text.substr(
    std::min<std::size_t>(text.size(), static_cast<std::size_t>(end - text.data()) + 1));
  switch (line.front()) {
  case says_damaged:
    return log.damaged(std::string{text});
  case says_passed:
    return log.passed(n);
  case says_count:
    log.counts[std::string{rest}] = n;
    return;
  case says_error:
    outcome = fail(static_cast<ec>(n), std::string{rest});
    return;
  default:
    return;
  }
}

result<void> hear_all(int fd, check_log& log) {
  result<void> outcome;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> in{::fdopen(fd, "r"), std::fclose};
  char* line = nullptr;
  std::size_t room = 0;
  for (ssize_t n; in && (n = ::getline(&line, &room, in.get())) > 1;)
    hear({line, static_cast<std::size_t>(n) - 1}, log, outcome);
  std::free(line); // getline's
  return outcome;
}

} // namespace

result<void> verify(const place& which, check_log& log) {
  int ends[2];
  if (::pipe(ends) != 0)
    return fail(ec::degraded, std::string{"cannot make a pipe: "} + std::strerror(errno));
  const auto child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    be_child(which, ends[1]);
  }
  ::close(ends[1]);
  if (child < 0) {
    ::close(ends[0]);
    return fail(ec::degraded, std::string{"cannot make a process: "} + std::strerror(errno));
  }
  auto outcome = hear_all(ends[0], log);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    // nop
  }
  if (WIFSIGNALED(status))
    log.damaged("the structure of " + which.path + "/data.mdb is damaged: reading it ended with "
                + ::sigdescr_np(WTERMSIG(status)));
  else if (WEXITSTATUS(status) != 0)
    return fail(ec::degraded, "the check of " + which.path + " was cut short");
  return outcome;
}

} // namespace ron::stores
