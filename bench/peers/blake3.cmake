ron_program(blake3_peer SOURCES peers/blake3.cpp peers/pairs.cpp LIBS ron::storage ron::dep_blake3)
target_include_directories(blake3_peer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
