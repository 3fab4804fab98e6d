# Third-party libraries, found once. Use the targets on the right in ron_library(... PRIVATE|PUBLIC ...).
#
#   CAF             CAF::core CAF::io CAF::openssl        core/actor, cluster and every *_actor
#   Boost (Asio, Beast, headers only)  Boost::headers     transport, core/actor; Beast: transport/http
#   OpenSSL         OpenSSL::SSL OpenSSL::Crypto          core/crypto, transport/tls, transport/quic
#   ngtcp2          ron::dep_ngtcp2                       transport/quic
#   LMDB            ron::dep_lmdb                         core/store
#   BLAKE3          ron::dep_blake3                       core/hash
#   nlohmann/json   ron::dep_json                         core/json
#   prometheus-cpp  ron::dep_prometheus                   core/metrics
#   libmacaroons    ron::dep_macaroons                    capabilities
#   libidn2         ron::dep_idn2                         names
#   libunistring    ron::dep_unistring                    names
#   jemalloc        ron::dep_malloc                       ron-node, load servers; nothing under a sanitizer
#   zstd, zlib      ron::dep_zstd ron::dep_zlib           transport
#   FTXUI           ron::dep_ftxui                        ronctl top
#   GoogleTest      GTest::gtest_main GTest::gmock        ron_test() adds them
#   benchmark       benchmark::benchmark_main             ron_bench() adds it
find_package(Threads REQUIRED)
find_package(CAF 0.17.6 EXACT REQUIRED COMPONENTS core io openssl)
find_package(Boost 1.88 REQUIRED CONFIG)
find_package(OpenSSL 3.5 REQUIRED)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(blake3 REQUIRED CONFIG)
find_package(zstd REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED CONFIG)
find_package(ftxui REQUIRED CONFIG)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET GLOBAL lmdb)
pkg_check_modules(MACAROONS REQUIRED IMPORTED_TARGET GLOBAL libmacaroons)
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET GLOBAL libidn2)
pkg_check_modules(NGTCP2 REQUIRED IMPORTED_TARGET GLOBAL libngtcp2>=1.22 libngtcp2_crypto_ossl)
add_library(ron_dep_malloc INTERFACE)
add_library(ron::dep_malloc ALIAS ron_dep_malloc)
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize") # which have a malloc of their own
  pkg_check_modules(JEMALLOC REQUIRED IMPORTED_TARGET GLOBAL jemalloc)
  target_link_libraries(ron_dep_malloc INTERFACE PkgConfig::JEMALLOC)
endif()
find_library(UNISTRING_LIBRARY unistring REQUIRED)
find_path(UNISTRING_INCLUDE_DIR uninorm.h REQUIRED)
add_library(ron_dep_unistring UNKNOWN IMPORTED GLOBAL)
set_target_properties(ron_dep_unistring PROPERTIES IMPORTED_LOCATION ${UNISTRING_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${UNISTRING_INCLUDE_DIR})

add_library(ron::dep_lmdb ALIAS PkgConfig::LMDB)
add_library(ron::dep_macaroons ALIAS PkgConfig::MACAROONS)
add_library(ron::dep_idn2 ALIAS PkgConfig::IDN2)
add_library(ron::dep_ngtcp2 ALIAS PkgConfig::NGTCP2)
add_library(ron::dep_unistring ALIAS ron_dep_unistring)
add_library(ron::dep_blake3 ALIAS BLAKE3::blake3)
add_library(ron::dep_json ALIAS nlohmann_json::nlohmann_json)
add_library(ron::dep_prometheus ALIAS prometheus-cpp::core)
add_library(ron::dep_zstd ALIAS zstd::libzstd_shared)
add_library(ron::dep_zlib ALIAS ZLIB::ZLIB)
add_library(ron_dep_ftxui INTERFACE)
target_link_libraries(ron_dep_ftxui INTERFACE ftxui::component ftxui::dom ftxui::screen)
add_library(ron::dep_ftxui ALIAS ron_dep_ftxui)

if(RON_TESTS)
  find_package(GTest REQUIRED)
endif()
if(RON_BENCH)
  find_package(benchmark REQUIRED)
endif()
