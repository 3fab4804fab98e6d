#include "oap/reader.hpp"

#include "oap/wire.hpp"

#include <gtest/gtest.h>

#include <set>

namespace ron::oap::test {
namespace {

reason why_of(const wire& w, const reader_limits& l = {}) {
  auto r = next(core::byte_view{w}, l);
  return r.is == read_status::reject ? r.why : reason::none;
}

bool passes(const wire& w, kind k, const reader_limits& l = {}) {
  auto r = next(core::byte_view{w}, l);
  return r.is == read_status::frame && r.kind == k && r.len == w.size();
}

TEST(OapReader, RefusesOversizeAtTheFourthByte) {
  wire w{0x00, 0x10, 0x00, 0x01};
  EXPECT_EQ(why_of(w), reason::oversize);
  EXPECT_EQ(next(core::byte_view{w}.first(3), {}).is, read_status::need_more);
  wire law{0x00, 0x10, 0x00, 0x00};
  EXPECT_EQ(next(core::byte_view{law}, {}).is, read_status::need_more);
  EXPECT_EQ(why_of(law, {.max_frame = 1000}), reason::oversize);
}

TEST(OapReader, RefusesALengthBelowTheHeaderAtTheFourthByte) {
  for (std::uint8_t n : std::initializer_list<std::uint8_t>{0, 1, 37})
    EXPECT_EQ(why_of({0, 0, 0, n}), reason::bad_length);
  EXPECT_EQ(why_of({0, 0, 0, 38}), reason::none);
}

TEST(OapReader, ChecksTheHeaderBeforeItWaitsForTheRest) {
  raw r{.len = 1'000'000, .ver = 2};
  EXPECT_EQ(why_of(r.build()), reason::bad_version);
  auto ok = raw{.len = 1'000'000, .flags = flag::req | flag::start, .app = 1, .corr = 1}.build();
  auto more = next(core::byte_view{ok}, {});
  EXPECT_EQ(more.is, read_status::need_more);
  EXPECT_EQ(more.len, 1'000'000u);
}

TEST(OapReader, FirstBreachDecides) {
  raw r{.ver = 9, .flags = 0xff00, .app = 1, .cap_len = 5};
  EXPECT_EQ(why_of(r.build()), reason::bad_version);
  r.ver = 1;
  EXPECT_EQ(why_of(r.build()), reason::bad_flags);
  r.flags = 0;
  EXPECT_EQ(why_of(r.build()), reason::cap_on_non_start);
  r.cap_len = -1;
  EXPECT_EQ(why_of(r.build()), reason::unknown_envelope);
  r.flags = flag::req;
  EXPECT_EQ(why_of(r.build(), {.x1 = true}), reason::bad_ext) << "corr 0, no block";
}

TEST(OapReader, BoundsTheCapability) {
  auto with_cap = [](std::size_t n) { return start_frame_of(1, {.cap = std::string(n, 'c')}); };
  EXPECT_TRUE(passes(with_cap(4096), kind::start));
  EXPECT_EQ(why_of(with_cap(4097)), reason::cap_bounds);
  EXPECT_TRUE(passes(with_cap(4097), kind::start, {.max_cap = 65'535}));
  raw r{.flags = flag::req | flag::start, .app = 1, .cap_len = 1, .corr = 1};
  EXPECT_EQ(why_of(r.build()), reason::cap_bounds) << "reaches past the frame";
}

// The table of the text, written again as conditions.
std::string kind_by_text(unsigned flags, bool app, unsigned status) {
  unsigned dir = flags & 7;
  bool one = dir == flag::req || dir == flag::resp || dir == flag::event;
  bool err = status >= 400;
  bool comp = flags & flag::comp;
  unsigned bare = flags & ~unsigned{flag::comp};
  if (!one)
    return "unknown";
  if (!app) {
    if (bare == flag::req || (bare == flag::resp && !err))
      return comp ? "bad_comp" : "HELLO";
    if (dir == flag::resp && err && !(flags & flag::start))
      return comp                                        ? "bad_comp"
             : (flags & (flag::ack_req | flag::app_e2e)) ? "bad_flags"
                                                         : "ERROR";
    if (bare == flag::event && status == 1)
      return comp ? "bad_comp" : "ACK";
    return "unknown";
  }
  if (flags & flag::start)
    return dir != flag::req ? "unknown" : comp ? "bad_comp" : "START";
  if (dir == flag::resp && err)
    return comp ? "bad_comp" : (flags & (flag::ack_req | flag::app_e2e)) ? "bad_flags" : "ERROR";
  if (!(flags & flag::end))
    return "DATA";
  return dir == flag::event ? "unknown" : "END";
}

TEST(OapReader, KindIsTheTableForAllFlagsAndStatuses) {
  for (unsigned flags = 0; flags < 256; ++flags)
    for (bool app : {false, true})
      for (unsigned status : {0u, 1u, 2u, 200u, 399u, 400u, 503u, 0x7fffu}) {
        auto want = kind_by_text(flags, app, status);
        // A body that suits no check of the block: what is asked is the kind alone.
        auto w = raw{.flags = static_cast<std::uint16_t>(flags),
                     .code = static_cast<std::uint16_t>(status),
                     .app = app,
                     .corr = 1}.build();
        auto r = next(core::byte_view{w}, {});
        std::string got = r.is == read_status::frame ? std::string{to_string(r.kind)} : "";
        if (r.is == read_status::reject)
          got = r.why == reason::unknown_envelope ? "unknown" : std::string{to_string(r.why)};
        if (got == "bad_ext") // kind known, then corr or status or body refused
          got = std::string{to_string(r.kind)};
        if (got == "bad_comp" && (want == "DATA" || want == "END"))
          got = want; // COMP without a block
        ASSERT_EQ(got, want) << "flags " << flags << " app " << app << " status " << status;
      }
}

TEST(OapReader, CorrBelongsToStreamsAndAcks) {
  EXPECT_EQ(why_of(start_frame_of(0)), reason::bad_ext);
  EXPECT_EQ(why_of(data_frame_of(0, 1)), reason::bad_ext);
  EXPECT_EQ(why_of(end_frame_of(0, 1)), reason::bad_ext);
  EXPECT_EQ(why_of(ack_frame_of(0, 1, 1)), reason::bad_ext);
  EXPECT_TRUE(passes(error_frame_of(0, 503, 0x1f1), kind::error));
  auto w = error_frame_of(0, 503, 0x1f1);
  w[off::corr + 7] = 1;
  EXPECT_EQ(why_of(w), reason::bad_ext);
}

TEST(OapReader, ExtensionBlockOfData) {
  EXPECT_TRUE(passes(data_frame_of(1, 1, "abc"), kind::data));
  EXPECT_TRUE(passes(data_frame_of(1, 1, "", {.obj = 7, .total = true}), kind::data));
  EXPECT_TRUE(passes(end_frame_of(1, 1), kind::end));
  auto broken = [](std::size_t at, std::uint8_t v, data_opts o = {}) {
    auto w = data_frame_of(1, 1, "abc", o);
    w[header_bytes + at] = v;
    return why_of(w);
  };
  EXPECT_EQ(broken(0, 4), reason::bad_ext) << "unknown xflag";
  EXPECT_EQ(broken(0, 1), reason::bad_ext) << "xlen without the id";
  EXPECT_EQ(broken(1, 48), reason::bad_ext) << "xlen without OBJ";
  EXPECT_EQ(broken(2, 1), reason::bad_ext);
  EXPECT_EQ(broken(3, 1), reason::bad_ext);
  for (std::size_t size = 0; size < 16; ++size) {
    raw r{.flags = flag::req, .code = code_ext, .app = 1, .corr = 1, .body = wire(size, 0)};
    ASSERT_EQ(why_of(r.build()), reason::bad_ext) << size;
  }
  raw cut{.flags = flag::req, .code = code_ext, .app = 1, .corr = 1, .body = wire(40, 0)};
  cut.body[0] = 3;
  cut.body[1] = 56;
  EXPECT_EQ(why_of(cut.build()), reason::bad_ext) << "the block ends behind the frame";
  EXPECT_EQ(why_of(data_frame_of(1, 1, "x", {.status = 200})), reason::bad_ext)
    << "a status on REQ";
  EXPECT_TRUE(passes(data_frame_of(1, 1, "x", {.dir = flag::resp, .status = 200}), kind::data));
  EXPECT_TRUE(passes(data_frame_of(1, 1, "x", {.dir = flag::event}), kind::data));
}

TEST(OapReader, CompAndRawLenGoTogether) {
  data_opts comp{.flags = flag::comp, .raw_len = 5};
  EXPECT_TRUE(passes(data_frame_of(1, 1, "zz", comp), kind::data));
  EXPECT_EQ(why_of(data_frame_of(1, 1, "zz", comp), {.zstd = false}), reason::bad_comp);
  EXPECT_EQ(why_of(data_frame_of(1, 1, "zz", {.flags = flag::comp})), reason::bad_comp);
  EXPECT_EQ(why_of(data_frame_of(1, 1, "zz", {.raw_len = 5})), reason::bad_comp);
  comp.raw_len = 8u << 20;
  EXPECT_TRUE(passes(data_frame_of(1, 1, "zz", comp), kind::data));
  comp.raw_len += 1;
  auto w = data_frame_of(1, 1, "zz", comp);
  auto r = next(core::byte_view{w}, {});
  EXPECT_EQ(r.why, reason::inflate_bound);
  EXPECT_EQ(r.len, w.size()) << "ends the stream alone, so the session must know where to go on";
}

TEST(OapReader, ExtensionBlockOfStart) {
  EXPECT_TRUE(passes(start_frame_of(1, {.xflags = 3, .window = 1024, .args = "a"}), kind::start));
  EXPECT_TRUE(passes(start_frame_of(1, {.name = ""}), kind::start));
  EXPECT_TRUE(passes(start_frame_of(1, {.name = std::string(255, 'n')}), kind::start));
  EXPECT_EQ(why_of(start_frame_of(1, {.name = std::string(256, 'n')})), reason::bad_ext);
  EXPECT_EQ(why_of(start_frame_of(1, {.xflags = 4})), reason::bad_ext);
  EXPECT_EQ(why_of(start_frame_of(1, {.window = 0})), reason::bad_ext);
  EXPECT_EQ(why_of(start_frame_of(1, {.window = 1025})), reason::bad_ext);
  EXPECT_EQ(why_of(start_frame_of(1, {.name = "\xff"})), reason::bad_ext);
  auto w = start_frame_of(1);
  w[header_bytes + 3] = 200; // the name reaches past the frame
  EXPECT_EQ(why_of(w), reason::bad_ext);
  w = start_frame_of(1);
  w[header_bytes + 1] = 17;
  EXPECT_EQ(why_of(w), reason::bad_ext);
  w = start_frame_of(1);
  w[off::code + 1] = 1;
  EXPECT_EQ(why_of(w), reason::bad_ext) << "opcode";
}

TEST(OapReader, BodyOfAck) {
  EXPECT_TRUE(passes(ack_frame_of(1, 0, 0), kind::ack));
  EXPECT_TRUE(passes(ack_frame_of(1, ~0ull, 1024), kind::ack));
  EXPECT_EQ(why_of(ack_frame_of(1, 1, 1025)), reason::bad_ext);
  auto w = ack_frame_of(1, 1, 1);
  w.back() = 1;
  EXPECT_EQ(why_of(w), reason::bad_ext);
  raw r{.flags = flag::event, .code = 1, .corr = 1, .body = wire(17, 0)};
  EXPECT_EQ(why_of(r.build()), reason::bad_ext);
  r.code |= code_ext;
  r.body.resize(16);
  EXPECT_EQ(why_of(r.build()), reason::bad_ext) << "X on ACK";
}

TEST(OapReader, BodyOfError) {
  EXPECT_TRUE(passes(error_frame_of(1, 404, 0x103), kind::error));
  EXPECT_TRUE(passes(error_frame_of(1, 404, 0x103, 0, 1, std::string(1024, 'm')), kind::error));
  EXPECT_EQ(why_of(error_frame_of(1, 404, 0x103, 0, 1, std::string(1025, 'm'))),
            reason::bad_ext);
  EXPECT_EQ(why_of(error_frame_of(1, 404, 0x103, 0, 1, "\xc0\x80")), reason::bad_ext);
  auto w = error_frame_of(1, 404, 0x103);
  w[header_bytes] = 2;
  EXPECT_EQ(why_of(w), reason::bad_ext);
  raw plain{.flags = flag::resp, .code = 404, .app = 1, .corr = 1};
  EXPECT_TRUE(passes(plain.build(), kind::error));
  EXPECT_EQ(why_of(plain.build(), {.x1 = true}), reason::bad_ext);
  raw conn{.flags = flag::resp, .code = 404};
  EXPECT_TRUE(passes(conn.build(), kind::error, {.x1 = true}));
}

void expect_same(core::byte_view in, const reader_limits& limits) {
  auto r = next(in, limits);
  auto checked = detail::next_checked(in, limits);
  ASSERT_EQ(r.is, checked.is);
  ASSERT_EQ(r.kind, checked.kind);
  ASSERT_EQ(r.why, checked.why);
  ASSERT_EQ(r.len, checked.len);
  if (!r.plain)
    return;
  auto a = read_data(view_of(in, r));
  auto b = read_data(view_of(in, checked));
  ASSERT_EQ(a.seq, b.seq);
  ASSERT_EQ(a.raw_len, b.raw_len);
  ASSERT_EQ(a.has_total, b.has_total);
  ASSERT_EQ(a.obj, b.obj);
  ASSERT_EQ(a.bytes.data(), b.bytes.data());
  ASSERT_EQ(a.bytes.size(), b.bytes.size());
}

TEST(OapReader, WhatIsDecidedInLineIsWhatAllChecksSay) {
  const reader_limits some[] = {{}, {.max_frame = 120, .x1 = true}, {.max_frame = 53}};
  std::size_t plain = 0;
  for (std::uint16_t flags = 0; flags < 512; ++flags)
    for (std::uint16_t code : std::initializer_list<std::uint16_t>{0, 0xc8, 0x8000, 0x8001, 0x80c8,
                                                                  0x818f, 0x8190, 0xffff})
      for (unsigned odd = 0; odd < 64; ++odd) {
        wire block{0, 16, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
        block.resize(16 + 60, 'x');
        block[0] = odd & 1 ? 2 : 0;
        block[1] = odd & 2 ? 24 : 16;
        block[7] = odd & 4 ? 9 : 0;
        raw frame{.flags = flags, .code = code, .app = 7, .corr = 1, .body = block};
        if (odd & 8)
          frame.ver = 2;
        if (odd & 16)
          frame.app = 0;
        if (odd & 32)
          frame.corr = 0;
        const auto w = frame.build();
        for (std::size_t n : {w.size(), w.size() - 1, std::size_t{54}, std::size_t{53}})
          for (const auto& limits : some) {
            expect_same(core::byte_view{w}.first(n), limits);
            plain += next(core::byte_view{w}.first(n), limits).plain;
          }
      }
  EXPECT_GT(plain, 20u) << "the in-line way was taken";
}

TEST(OapReader, ViewsShowTheFields) {
  auto w = start_frame_of(0x0102030405060708,
                          {.flags = flag::end, .app = 0x0203, .tenant = 9, .xflags = 3,
                           .window = 77, .seq = 5, .name = "näme", .cap = "cap", .args = "args"});
  auto f = view_of(core::byte_view{w}, next(core::byte_view{w}, {}));
  EXPECT_EQ(f.corr(), 0x0102030405060708u);
  EXPECT_EQ(f.app(), 0x0203);
  EXPECT_EQ(f.tenant().id[15], 9);
  EXPECT_TRUE(f.has(flag::end));
  EXPECT_TRUE(f.ext());
  EXPECT_EQ(std::string(f.cap().begin(), f.cap().end()), "cap");
  auto s = read_start(f);
  EXPECT_TRUE(s.objects && s.reply_objects);
  EXPECT_EQ(s.window, 77u);
  EXPECT_EQ(s.seq_start, 5u);
  EXPECT_EQ(s.name, "näme");
  EXPECT_EQ(std::string(s.args.begin(), s.args.end()), "args");
  EXPECT_EQ(static_cast<const void*>(s.args.data()), w.data() + w.size() - 4) << "no copy";
}

TEST(OapReader, RejectTableIsComplete) {
  std::set<bucket> used;
  for (std::uint16_t i = 1; i <= reject_reason_max; ++i) {
    auto r = static_cast<reason>(i);
    used.insert(info(r).bucket);
    EXPECT_EQ(info(r).why, r);
    EXPECT_EQ(status_of(r), info(r).status);
    EXPECT_NE(to_string(r), "?");
  }
  EXPECT_EQ(used.size(), bucket_count);
  EXPECT_EQ(status_of(reason::timeout), 504);
  EXPECT_EQ(status_of(reason::cancelled), 499);
  EXPECT_EQ(status_of(reason::drain), 503);
  EXPECT_EQ(status_of(static_cast<reason>(0x7777)), 500);
}

} // namespace
} // namespace ron::oap::test
