ron_program(storage_peer SOURCES peers/storage.cpp peers/storage_raw.cpp peers/pairs.cpp
  LIBS ron::storage ron::dep_lmdb ron::dep_blake3)
target_include_directories(storage_peer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
