#include "core/crypto/tls_window.hpp"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>

namespace ron::core::crypto {

namespace {

int window_read(BIO* bio, char* to, std::size_t n, std::size_t* done) {
  auto& window = *static_cast<tls_window*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *done = window.read(to, n);
  if (*done > 0)
    return 1;
  BIO_set_retry_read(bio); // the end of the stream is the link's business
  return 0;
}

int window_write(BIO* bio, const char* from, std::size_t n, std::size_t* done) {
  static_cast<tls_window*>(BIO_get_data(bio))->write(from, n);
  BIO_clear_retry_flags(bio);
  *done = n;
  return 1;
}

long window_ctrl(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* window_method() {
  static BIO_METHOD* const method = [] {
    auto* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "window");
    BIO_meth_set_read_ex(m, window_read);
    BIO_meth_set_write_ex(m, window_write);
    BIO_meth_set_ctrl(m, window_ctrl);
    return m;
  }();
  return method;
}

} // namespace

std::size_t tls_window::read(char* to, std::size_t n) noexcept {
  n = std::min(n, input.size());
  if (n > 0)
    std::memcpy(to, input.data(), n);
  input = input.subspan(n);
  return n;
}

void tls_window::write(const char* from, std::size_t n) {
  output_bytes += n;
  while (n > 0) {
    if (current_.room().empty()) {
      cut_current(ready_);
      current_ = slab{std::clamp(std::max(expected, n), slab_bytes_min, slab_bytes_max)};
      cut_ = 0;
    }
    auto room = current_.room();
    auto k = std::min(n, room.size());
    std::memcpy(room.data(), from, k);
    current_.commit(k);
    expected -= std::min(expected, k);
    from += k;
    n -= k;
  }
}

void tls_window::cut_current(std::vector<bytes>& out) {
  if (current_.filled() > cut_)
    out.push_back(current_.cut(cut_, current_.filled() - cut_));
  cut_ = current_.filled();
}

void tls_window::take(std::vector<bytes>& out) {
  std::move(ready_.begin(), ready_.end(), std::back_inserter(out));
  ready_.clear();
  cut_current(out);
  current_ = slab{}; // an idle connection keeps no output buffer
  cut_ = 0;
  output_bytes = 0;
}

bio_ptr make_window_bio(tls_window* window) {
  bio_ptr bio{BIO_new(window_method())};
  if (bio) {
    BIO_set_data(bio.get(), window);
    BIO_set_init(bio.get(), 1);
  }
  return bio;
}

} // namespace ron::core::crypto
