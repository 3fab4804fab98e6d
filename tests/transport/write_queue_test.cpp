#include "transport/write_queue.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace {

using namespace ron;
using transport::write_queue;

std::string gathered(const write_queue& q) {
  std::array<iovec, write_queue::gather_slices_max> out;
  auto n = q.gather(out);
  std::string all;
  for (std::size_t i = 0; i < n; ++i)
    all.append(static_cast<const char*>(out[i].iov_base), out[i].iov_len);
  return all;
}

TEST(WriteQueue, KeepsTheOrderOverPartialWrites) {
  write_queue q;
  std::vector<core::bytes> in{core::bytes::copy("abc"), core::bytes{}, core::bytes::copy("defg")};
  q.push(in);
  EXPECT_TRUE(in.empty());
  EXPECT_EQ(q.bytes(), 7u);
  EXPECT_EQ(gathered(q), "abcdefg");
  q.consume(4);
  EXPECT_EQ(gathered(q), "efg");
  in.push_back(core::bytes::copy("h"));
  q.push(in);
  EXPECT_EQ(gathered(q), "efgh");
  q.consume(4);
  EXPECT_TRUE(q.empty());
  EXPECT_EQ(gathered(q), "");
}

TEST(WriteQueue, OneCallIsBoundedInBytesAndSlices) {
  write_queue q;
  std::vector<core::bytes> in(5, core::bytes::copy(std::string(100'000, 'x')));
  q.push(in);
  EXPECT_EQ(gathered(q).size(), write_queue::gather_bytes_max);
  q.clear();
  EXPECT_TRUE(q.empty());
  in.assign(1'000, core::bytes::copy("x"));
  q.push(in);
  EXPECT_EQ(gathered(q).size(), write_queue::gather_slices_max);
}

} // namespace
