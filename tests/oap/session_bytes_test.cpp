#include "oap/harness.hpp"

#include <gtest/gtest.h>

/// How a session reads: slices of what was read, frames that straddle reads, bounds of memory.
namespace ron::oap::test {
namespace {

// A link that reads on in one slab.
class slab_feeder {
public:
  explicit slab_feeder(std::size_t capacity) : slab_(capacity) {}
  core::bytes put(const wire& w, std::size_t from, std::size_t n) {
    auto at = slab_.filled();
    std::memcpy(slab_.room().data(), w.data() + from, n);
    slab_.commit(n);
    return slab_.cut(at, n);
  }
  const std::uint8_t* begin() const { return slab_.view().data(); }
  const std::uint8_t* end() const { return slab_.view().data() + slab_.filled(); }

private:
  core::slab slab_;
};

TEST(OapSessionBytes, PayloadsAreSlicesOfWhatWasRead) {
  harness h{role::acceptor};
  auto w = start_frame_of(1, {.args = "args"}) + data_frame_of(1, 1, std::string(10'000, 'x'));
  slab_feeder link{20'000};
  h.s.on_bytes(link.put(w, 0, w.size()), {});
  h.pump();
  for (const auto* p : {h.all<opened>()[0].args.data(), h.all<data>()[0].bytes.data()}) {
    EXPECT_GE(p, link.begin());
    EXPECT_LT(p, link.end());
  }
  EXPECT_EQ(h.s.counters().bytes_copied, 0u);
}

TEST(OapSessionBytes, AStraddlingFrameIsNotCopiedWhenTheLinkReadsOnInItsSlab) {
  harness h{role::acceptor};
  auto w = start_frame_of(1) + data_frame_of(1, 1, std::string(10'000, 'x'));
  slab_feeder link{20'000};
  for (std::size_t at = 0; at < w.size(); at += 777)
    h.s.on_bytes(link.put(w, at, std::min<std::size_t>(777, w.size() - at)), {});
  h.pump();
  ASSERT_EQ(h.all<data>().size(), 1u);
  EXPECT_EQ(h.all<data>()[0].bytes.size(), 10'000u);
  EXPECT_EQ(h.s.counters().bytes_copied, 0u);
  EXPECT_EQ(h.s.partial_bytes(), 0u);
}

TEST(OapSessionBytes, AStraddlingFrameIsCopiedOnceWhenItsEndIsThere) {
  harness h{role::acceptor};
  auto head = start_frame_of(1);
  auto w = head + data_frame_of(1, 1, std::string(10'000, 'x')) + data_frame_of(1, 2, "next");
  wire first{w.begin(), w.begin() + 5'000};
  wire second{w.begin() + 5'000, w.end()};
  h.feed(first);
  EXPECT_EQ(h.s.partial_bytes(), 5'000 - head.size());
  h.feed(second);
  ASSERT_EQ(h.all<data>().size(), 2u);
  EXPECT_EQ(h.all<data>()[0].bytes.text(), std::string(10'000, 'x'));
  EXPECT_EQ(h.all<data>()[1].bytes.text(), "next");
  EXPECT_EQ(h.s.counters().bytes_copied, 10'000 + header_bytes + ext_bytes);
}

TEST(OapSessionBytes, SaysWhatCompletesTheUnfinishedFrame) {
  harness h{role::acceptor};
  auto w = start_frame_of(1) + data_frame_of(1, 1, std::string(10'000, 'x'));
  const auto head = start_frame_of(1).size();
  EXPECT_EQ(h.s.missing_bytes(), 0u);
  h.feed({w.begin(), w.begin() + static_cast<std::ptrdiff_t>(head + 3)});
  EXPECT_EQ(h.s.partial_bytes(), 3u);
  EXPECT_EQ(h.s.missing_bytes(), 0u) << "the length is not there";
  h.feed({w.begin() + static_cast<std::ptrdiff_t>(head + 3), w.end() - 7});
  EXPECT_EQ(h.s.missing_bytes(), 7u);
  h.feed({w.end() - 7, w.end()});
  EXPECT_EQ(h.s.missing_bytes(), 0u);
  EXPECT_EQ(h.all<data>().size(), 1u);
}

TEST(OapSessionBytes, OneByteAtATimeIsTheSame) {
  harness h{role::acceptor, {}, ""};
  auto w = hello_frame(true) + start_frame_of(1) + data_frame_of(1, 1, "abc")
           + data_frame_of(1, 2, "def") + end_frame_of(1, 2);
  for (auto b : w)
    h.feed({b});
  EXPECT_EQ(h.all<peer_hello>().size(), 1u);
  EXPECT_EQ(h.all<opened>().size(), 1u);
  ASSERT_EQ(h.all<data>().size(), 2u);
  EXPECT_EQ(h.all<data>()[1].bytes.text(), "def");
  EXPECT_EQ(h.all<ended>().size(), 1u);
}

// The reader says how much a frame needs; what it gets is room for what has arrived.
TEST(OapSessionBytes, ADeclaredLengthAllocatesNothing) {
  harness h{role::acceptor, {.max_frame = 1u << 20}, R"({"max_frame":1048576})"};
  auto w = raw{.len = 1u << 20, .flags = flag::req | flag::start, .code = code_ext, .app = 1,
               .corr = 1}.build();
  h.feed(w);
  h.feed(wire(10, 0));
  EXPECT_EQ(h.s.partial_bytes(), 48u);
  EXPECT_LE(h.s.memory_bytes(), 8'192u);
}

TEST(OapSessionBytes, MemoryFollowsWhatArrivedAndStopsAtOneFrame) {
  harness h{role::acceptor, {.max_frame = 1u << 20}, R"({"max_frame":1048576})"};
  auto idle = h.s.memory_bytes();
  h.feed(raw{.len = 1u << 20, .flags = flag::req | flag::start, .code = code_ext, .app = 1,
             .corr = 1}.build());
  for (int i = 0; i < 1'000; ++i) {
    h.feed(wire(1'000, 0));
    ASSERT_LE(h.s.memory_bytes(), idle + 2 * h.s.partial_bytes() + 1'024);
    ASSERT_LE(h.s.memory_bytes(), idle + (1u << 20) + 1'024);
  }
}

TEST(OapSessionBytes, TrimGivesSpareMemoryBack) {
  harness h{role::acceptor, {}, R"({"max_streams":512})"};
  for (corr_t c = 1; c <= 512; ++c)
    h.feed(start_frame_of(c));
  EXPECT_GT(h.s.memory_bytes(), 512 * sizeof(void*));
  for (corr_t c = 1; c <= 512; ++c) {
    h.feed(end_frame_of(c, 0));
    h.s.end(c);
  }
  h.pump();
  h.s.trim();
  EXPECT_LE(h.s.memory_bytes(), 2'048u);
  h.now += std::chrono::seconds{2};
  h.feed(start_frame_of(600));
  EXPECT_TRUE(h.s.is_open(600));
}

TEST(OapSessionBytes, CountsFramesAndBytes) {
  acceptor_harness h;
  auto before = h.s.counters();
  auto w = data_frame_of(1, 1) + end_frame_of(1, 1);
  h.feed(w);
  h.s.end(1);
  h.pump();
  const auto& c = h.s.counters();
  EXPECT_EQ(c.frames_in[static_cast<std::size_t>(kind::data)], 1u);
  EXPECT_EQ(c.frames_in[static_cast<std::size_t>(kind::end)], 1u);
  EXPECT_EQ(c.frames_out[static_cast<std::size_t>(kind::end)], 1u);
  EXPECT_EQ(c.bytes_in - before.bytes_in, w.size());
  EXPECT_GT(c.bytes_out, before.bytes_out);
  EXPECT_EQ(c.streams, 1u);
}

TEST(OapSessionBytes, RejectsAreNotedWithTheirPlaceHoweverTheyAreSplit) {
  for (bool split : {false, true}) {
    acceptor_harness h;
    const auto at = h.s.counters().bytes_in;
    const auto good = data_frame_of(1, 1);
    const auto bad = data_frame_of(1, 3);
    const auto all = good + bad;
    reject_notes notes;
    EXPECT_FALSE(h.s.take_rejects(notes));
    if (split)
      for (auto byte : all)
        h.feed({byte});
    else
      h.feed(all);
    ASSERT_TRUE(h.s.take_rejects(notes));
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_EQ(notes[0].why, reason::seq_gap);
    EXPECT_EQ(notes[0].corr, 1u);
    EXPECT_EQ(notes[0].offset, at + good.size());
    EXPECT_FALSE(h.s.take_rejects(notes)) << "once";
    h.feed({0x7f, 0xff, 0xff, 0xff});
    ASSERT_TRUE(h.s.take_rejects(notes));
    EXPECT_EQ(notes[0].why, reason::oversize);
    EXPECT_EQ(notes[0].length, 0x7fffffffu);
    EXPECT_EQ(notes[0].offset, at + all.size());
  }
}

TEST(OapSessionBytes, NotesOnRejectsAreBounded) {
  acceptor_harness h;
  wire bad;
  for (corr_t c = 2; c < 30; ++c)
    bad = bad + start_frame_of(c) + data_frame_of(c, 9);
  h.feed(bad);
  reject_notes notes;
  ASSERT_TRUE(h.s.take_rejects(notes));
  EXPECT_EQ(notes.size(), reject_notes_max);
  EXPECT_EQ(h.s.counters().rejects[static_cast<std::size_t>(bucket::credit_violation)], 28u);
}

TEST(OapSessionBytes, StagingIsTheBlockThatAnUnfinishedFrameKeeps) {
  acceptor_harness h;
  EXPECT_EQ(h.s.staging_bytes(), 0u);
  core::slab slab{4'096};
  const auto frame = data_frame_of(1, 1);
  std::ranges::copy(frame, slab.room().begin());
  slab.commit(10);
  h.s.on_bytes(slab.cut(0, 10), h.now);
  EXPECT_EQ(h.s.staging_bytes(), 4'096u);
}

TEST(OapSessionBytes, DiscardsAfterTheEnd) {
  harness h{role::acceptor};
  h.feed({0, 0, 0, 0});
  EXPECT_TRUE(h.s.finished());
  h.feed(wire(1'000, 7));
  EXPECT_GE(h.s.counters().bytes_discarded, 1'000u);
  EXPECT_EQ(h.s.partial_bytes(), 0u);
}

} // namespace
} // namespace ron::oap::test
