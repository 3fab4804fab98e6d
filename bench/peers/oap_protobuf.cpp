#include "peers/oap_delimited.pb.h"
#include "peers/oap_sides.hpp"

#include <google/protobuf/util/delimited_message_util.h>

#include <string>

namespace ron::bench {

namespace {

class protobuf_side final : public decoder {
public:
  explicit protobuf_side(std::size_t payload) {
    Delimited m;
    m.set_corr(1);
    m.set_flags(1);
    m.set_payload(std::string(payload, 'x'));
    google::protobuf::io::StringOutputStream out{&wire_};
    for (std::size_t i = 0; i * payload < round_bytes; ++i) {
      m.set_seq(i + 1);
      google::protobuf::util::SerializeDelimitedToZeroCopyStream(m, &out);
    }
  }

  std::size_t round() override {
    google::protobuf::io::CodedInputStream in{reinterpret_cast<const std::uint8_t*>(wire_.data()),
                                              static_cast<int>(wire_.size())};
    std::size_t frames = 0;
    for (bool clean = false;; ++frames) {
      if (!google::protobuf::util::ParseDelimitedFromCodedStream(&message_, &in, &clean))
        return frames;
      sum_ += message_.seq() + message_.payload().size()
              + reinterpret_cast<std::uintptr_t>(message_.payload().data());
    }
  }

private:
  std::string wire_;
  Delimited message_;
  std::uint64_t sum_ = 0;
};

} // namespace

std::unique_ptr<decoder> protobuf(std::size_t payload) {
  return std::make_unique<protobuf_side>(payload);
}

} // namespace ron::bench
