# How every module of Penstock is compiled: one static library a module, one test and one benchmark
# program beside it, the same flags and the same precompiled header for all.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -fno-omit-frame-pointer")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)   # headers only
find_package(OpenSSL 3 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(simdjson REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(PostgreSQL REQUIRED)   # libpq alone
find_package(SQLite3 REQUIRED)
find_package(ZLIB REQUIRED)
find_library(ZSTD_LIBRARY zstd REQUIRED)   # Debian's has no file for CMake
find_path(ZSTD_INCLUDE_DIR zstd.h REQUIRED)
add_library(zstd::zstd UNKNOWN IMPORTED)
set_target_properties(zstd::zstd PROPERTIES
  IMPORTED_LOCATION ${ZSTD_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${ZSTD_INCLUDE_DIR})
find_path(HNSWLIB_INCLUDE_DIR hnswlib/hnswlib.h)   # headers only, without a file for CMake
if(NOT HNSWLIB_INCLUDE_DIR)
  message(FATAL_ERROR "hnswlib/hnswlib.h is not there: install Debian's libhnswlib-dev (./dev does)")
endif()
add_library(hnswlib::hnswlib INTERFACE IMPORTED)
target_include_directories(hnswlib::hnswlib SYSTEM INTERFACE ${HNSWLIB_INCLUDE_DIR})
if(PENSTOCK_SANITIZE)
  # Looking ahead it reads the neighbour behind the last one: within malloc's block, not within its own.
  target_compile_definitions(hnswlib::hnswlib INTERFACE NO_MANUAL_VECTORIZATION)
endif()

find_library(BROTLI_LIBRARY brotlienc REQUIRED)   # likewise
find_path(BROTLI_INCLUDE_DIR brotli/encode.h REQUIRED)
add_library(brotli::enc UNKNOWN IMPORTED)
set_target_properties(brotli::enc PROPERTIES
  IMPORTED_LOCATION ${BROTLI_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${BROTLI_INCLUDE_DIR})
find_library(BROTLI_DEC_LIBRARY brotlidec REQUIRED)   # of tests
add_library(brotli::dec UNKNOWN IMPORTED)
set_target_properties(brotli::dec PROPERTIES
  IMPORTED_LOCATION ${BROTLI_DEC_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${BROTLI_INCLUDE_DIR})

add_library(penstock_flags INTERFACE)
target_include_directories(penstock_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(penstock_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Werror
  # GCC 12 sees faults where there are none: in std::string joined by + (GCC bug 105651) and in the
  # coroutine frames that Asio allocates.
  $<$<CXX_COMPILER_ID:GNU>:-fcoroutines;-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-mismatched-new-delete>)
target_compile_definitions(penstock_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_NO_TS_EXECUTORS
  PENSTOCK_VERSION="${PROJECT_VERSION}")
target_link_libraries(penstock_flags INTERFACE
  Threads::Threads Boost::headers OpenSSL::SSL OpenSSL::Crypto fmt::fmt spdlog::spdlog)

if(PENSTOCK_SANITIZE)
  target_compile_options(penstock_flags INTERFACE
    -fsanitize=${PENSTOCK_SANITIZE} -fno-sanitize-recover=all
    # What GCC warns of here is often what the instrumentation made; the other builds are strict.
    -Wno-error)
  target_link_options(penstock_flags INTERFACE -fsanitize=${PENSTOCK_SANITIZE})
  if(PENSTOCK_SANITIZE MATCHES "undefined" AND NOT PENSTOCK_FUZZ)
    # UndefinedBehaviorSanitizer's look at an object's type asks by a pipe whether memory can be read:
    # where a test uses up all file descriptors every object is "not of its type". AddressSanitizer
    # sees what is no more.
    target_compile_options(penstock_flags INTERFACE -fno-sanitize=vptr)
  endif()
  if(PENSTOCK_SANITIZE STREQUAL "thread")
    # GCC cannot instrument atomic_thread_fence; Asio's use of it is inside the mutex-protected path.
    target_compile_options(penstock_flags INTERFACE -Wno-tsan)
  endif()
endif()
if(PENSTOCK_FUZZ)
  # The fuzzer sees which ways were gone; its main() is linked to the targets alone.
  target_compile_options(penstock_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Two precompiled headers, of what nearly every file includes and nobody changes: one for all modules,
# one for their tests. A test's own code is compiled without optimisation: that takes a third less time,
# and what it looks at is compiled as it is shipped.
set(penstock_headers
  <algorithm> <array> <atomic> <charconv> <chrono> <cstdint> <cstring> <functional> <memory>
  <mutex> <optional> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant>
  <vector> <boost/asio.hpp> <fmt/core.h> <fmt/format.h>)
add_library(penstock_pch OBJECT ${CMAKE_SOURCE_DIR}/src/base/pch.cc)
target_link_libraries(penstock_pch PUBLIC penstock_flags)
target_precompile_headers(penstock_pch PRIVATE ${penstock_headers})
if(PENSTOCK_TESTS)
  add_library(penstock_test_flags INTERFACE)
  target_link_libraries(penstock_test_flags INTERFACE penstock_flags GTest::gmock)
  target_compile_options(penstock_test_flags INTERFACE -O0)
  add_library(penstock_test_pch OBJECT ${CMAKE_SOURCE_DIR}/src/base/pch.cc)
  target_link_libraries(penstock_test_pch PUBLIC penstock_test_flags)
  target_precompile_headers(penstock_test_pch PRIVATE ${penstock_headers} <gtest/gtest.h> <gmock/gmock.h>)
endif()

# penstock_plugin(NAME DEPS module...)
# src/NAME is a shared object with a CMakeLists.txt of its own: it sees the headers of these modules, and
# links none of them.
function(penstock_plugin name)
  add_subdirectory(${CMAKE_SOURCE_DIR}/src/${name})
endfunction()

# penstock_module(NAME [ONE_RUN] DEPS module... LIBS library...)
# Takes src/NAME/*.cc; *_test.cc become the program NAME_test, *_bench.cc NAME_bench. ONE_RUN: its
# tests share servers that take seconds to start, and are one test of ctest.
function(penstock_module name)
  cmake_parse_arguments(ARG "ONE_RUN" "" "DEPS;LIBS" ${ARGN})
  set(dir ${CMAKE_SOURCE_DIR}/src/${name})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  set(benches ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_bench|/main|/pch)\\.cc$")

  set(links penstock_flags ${ARG_LIBS})
  foreach(dep ${ARG_DEPS})
    list(APPEND links penstock_${dep})
  endforeach()

  if(sources)
    add_library(penstock_${name} STATIC ${sources})
    target_link_libraries(penstock_${name} PUBLIC ${links})
    target_precompile_headers(penstock_${name} REUSE_FROM penstock_pch)
  else()
    add_library(penstock_${name} INTERFACE)
    target_link_libraries(penstock_${name} INTERFACE ${links})
  endif()

  if(PENSTOCK_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE penstock_${name} penstock_test_flags GTest::gtest_main)
    target_precompile_headers(${name}_test REUSE_FROM penstock_test_pch)
    if(ARG_ONE_RUN)
      add_test(NAME ${name}.all COMMAND ${name}_test)
      set_tests_properties(${name}.all PROPERTIES TIMEOUT 600)
    else()
      gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
        PROPERTIES TIMEOUT 120)
    endif()
  endif()
  if(PENSTOCK_BENCHMARKS AND benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE penstock_${name} benchmark::benchmark_main)
    target_precompile_headers(${name}_bench REUSE_FROM penstock_pch)
  endif()
endfunction()
