# The functions with which a folder's CMakeLists.txt says what is built. Examples in CONTRIBUTING.md.
include(GoogleTest)

# ron_add_folder(FOLDER): takes FOLDER in if it has a CMakeLists.txt and was not taken yet.
function(ron_add_folder folder)
  get_property(seen GLOBAL PROPERTY RON_FOLDERS)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt AND NOT folder IN_LIST seen)
    set_property(GLOBAL APPEND PROPERTY RON_FOLDERS ${folder})
    add_subdirectory(${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/${folder})
  endif()
endfunction()

# What all of our code is compiled with. Third-party headers come in as system headers.
add_library(ron_options INTERFACE)
target_compile_options(ron_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<BOOL:${RON_WERROR}>:-Werror>)
target_include_directories(ron_options INTERFACE ${PROJECT_SOURCE_DIR}/actors)
target_link_libraries(ron_options INTERFACE Threads::Threads)

# Common part: splits ARGN into SOURCES, LIBS and so on; leaves unknown words in arg_UNPARSED_ARGUMENTS.
macro(ron_parse)
  cmake_parse_arguments(arg "" "TIMEOUT;CORPUS" "SOURCES;PUBLIC;PRIVATE;LIBS;LABELS;ARGS" ${ARGN})
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "${name}: SOURCES missing")
  endif()
  # While several people work in one tree a file may be named before it is there.
  foreach(source IN LISTS arg_SOURCES)
    if(NOT RON_STRICT AND NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source} AND NOT EXISTS ${source})
      message(WARNING "${name}: ${source} is not there; left out (an error with -DRON_STRICT=ON)")
      list(REMOVE_ITEM arg_SOURCES ${source})
    endif()
  endforeach()
  if(NOT arg_SOURCES)
    message(WARNING "${name}: none of its sources is there; left out")
    return()
  endif()
  # By their plain names, so that a part whose folder is not there fails when it is linked, with
  # everything else still built.
  foreach(libs arg_PUBLIC arg_PRIVATE arg_LIBS)
    list(TRANSFORM ${libs} REPLACE "^ron::([^d]|d[^e])" "ron_\\1")
  endforeach()
endmacro()

# ron_library(NAME SOURCES a.cpp... [PUBLIC lib...] [PRIVATE lib...])
#   A static library, also known as ron::<NAME without ron_>. One for the pure half, one for the actor half.
function(ron_library name)
  ron_parse(${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC ron_options ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} ${arg_LIBS})
  string(REGEX REPLACE "^ron_" "" short ${name})
  add_library(ron::${short} ALIAS ${name})
endfunction()

# ron_program(NAME SOURCES a.cpp... [LIBS lib...]): build/<preset>/bin/NAME
function(ron_program name)
  ron_parse(${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ron_options ${arg_LIBS} ${arg_PUBLIC} ${arg_PRIVATE})
endfunction()

# ron_test([FOLDER] NAME SOURCES a_test.cpp... [LIBS lib...] [LABELS unit|sim|blackbox...] [TIMEOUT seconds])
#   A GoogleTest program. Each of its tests is a ctest `<folder>/<Suite>.<Name>` (label: unit, if none is
#   given). The target <folder>_tests builds all of a folder.
function(ron_test name)
  if(NOT ARGV1 STREQUAL SOURCES)
    list(POP_FRONT ARGN second)
    set(name ${name}_${second})
  endif()
  ron_parse(${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 180)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ron_options ${arg_LIBS} GTest::gmock GTest::gtest_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${name} PRIVATE RON_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  ron_folder(folder)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX ${folder}/
    PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
  set_property(GLOBAL APPEND PROPERTY RON_TESTS_OF_${folder} ${name})
  set_property(GLOBAL APPEND PROPERTY RON_TEST_FOLDERS ${folder})
endfunction()

# ron_blackbox(NAME SCRIPT.py [LABELS ...] [TIMEOUT seconds] [ARGS ...])
#   A python unittest script as the ctest `blackbox/NAME`. It finds the programs through RON_BIN_DIR.
function(ron_blackbox name script)
  cmake_parse_arguments(arg "" "TIMEOUT" "LABELS;ARGS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS blackbox)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_test(NAME blackbox/${name} COMMAND ${Python3_EXECUTABLE} -B ${script} -v ${arg_ARGS}
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(blackbox/${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "RON_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};RON_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    ENVIRONMENT_MODIFICATION "PYTHONPATH=path_list_prepend:${PROJECT_SOURCE_DIR}/tests/blackbox")
endfunction()

# ron_bench(NAME SOURCES a.cpp... [LIBS lib...]): a google-benchmark program build/<preset>/bin/<NAME>,
#   NAME ends in _bench.
function(ron_bench name)
  ron_parse(${ARGN})
  if(NOT name MATCHES "_bench$")
    message(FATAL_ERROR "${name}: the name of a benchmark ends in _bench")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ron_options ${arg_LIBS} benchmark::benchmark_main)
endfunction()

# ron_fuzz(NAME SOURCES a.cpp... LIBS lib... CORPUS folder)
#   a.cpp defines LLVMFuzzerTestOneInput. Under the preset `fuzz` a libFuzzer program (`./dev fuzz NAME`),
#   otherwise a plain program and the ctest `fuzz/NAME` that feeds it every file of the corpus.
function(ron_fuzz name)
  ron_parse(${ARGN})
  cmake_path(ABSOLUTE_PATH arg_CORPUS BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
  if(RON_FUZZ)
    ron_program(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    file(WRITE ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${name}.corpus "${arg_CORPUS}\n")
  else()
    ron_program(${name} SOURCES ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/scripts/cmake/replay_corpus.cpp
      LIBS ${arg_LIBS})
    add_test(NAME fuzz/${name} COMMAND ${name} ${arg_CORPUS})
    set_tests_properties(fuzz/${name} PROPERTIES LABELS "unit;fuzz" TIMEOUT 120)
  endif()
endfunction()

# Sets the variable OUT to the name of the folder whose CMakeLists.txt is being read.
function(ron_folder out)
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
  set(${out} ${folder} PARENT_SCOPE)
endfunction()

# Last in the root: one target <folder>_tests per folder of tests.
function(ron_finish)
  get_property(folders GLOBAL PROPERTY RON_TEST_FOLDERS)
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    get_property(programs GLOBAL PROPERTY RON_TESTS_OF_${folder})
    list(REMOVE_ITEM programs ${folder}_tests)
    if(NOT TARGET ${folder}_tests)
      add_custom_target(${folder}_tests)
    endif()
    if(programs)
      add_dependencies(${folder}_tests ${programs})
    endif()
  endforeach()
endfunction()
