#include "node/version.hpp"

#include "core/json.hpp"

#include <boost/version.hpp>
#include <caf/config.hpp>

#ifndef RON_VERSION
#error "the build defines RON_VERSION and RON_COMMIT"
#endif

namespace ron::node {

std::string version_text() {
  return "ron-node " RON_VERSION;
}

core::json version_json(bool details) {
  core::json out{{"name", "ron-node"},
                 {"version", RON_VERSION},
                 {"features", {"objects", "names", "manifests", "views", "mailbox", "oap1", "x1"}}};
  if (details) {
    out["git"] = RON_COMMIT;
    out["compiler"] = "g++ " __VERSION__;
    out["libraries"] = {{"caf", CAF_VERSION}, {"boost", BOOST_LIB_VERSION}};
  }
  return out;
}

} // namespace ron::node
