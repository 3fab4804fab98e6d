# The peers' libraries come with `./dev bench peer oap`; without them there is no program.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(nghttp2 QUIET IMPORTED_TARGET libnghttp2)
endif()
find_package(Protobuf QUIET)
if(nghttp2_FOUND AND Protobuf_FOUND)
  ron_program(oap_peer SOURCES peers/oap.cpp peers/oap_ours.cpp peers/oap_nghttp2.cpp peers/oap_protobuf.cpp
    peers/pairs.cpp LIBS ron::oap PkgConfig::nghttp2 protobuf::libprotobuf)
  target_include_directories(oap_peer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  protobuf_generate(TARGET oap_peer PROTOS ${CMAKE_CURRENT_SOURCE_DIR}/peers/oap_delimited.proto
    IMPORT_DIRS ${CMAKE_CURRENT_SOURCE_DIR} PROTOC_OUT_DIR ${CMAKE_CURRENT_BINARY_DIR})
  target_include_directories(oap_peer SYSTEM PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endif()
