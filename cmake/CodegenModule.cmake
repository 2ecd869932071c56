# One function makes a module. Every .cpp below the module's folder is in the build; its suffix says what it is:
#   main.cpp            an executable (name: the EXECUTABLE argument), linked with the module's library
#   *_test.cpp          unit test, no I/O beyond the process                          label unit (under sanitizers: sanitized-unit)
#   *_redistest.cpp, *_dbtest.cpp, *_servicetest.cpp   one part with real servers     label service
#   *_integrationtest.cpp  several roles, real Docker and sandbox                     label integration
#   *_e2etest.cpp       everything, real agent binaries                               label e2e
#   *_bench.cpp         Google Benchmark                                              target <module>_bench
#   *_fuzz.cpp          libFuzzer under AddressSanitizer, one executable a file; else a unit test that replays fuzz/corpus/<file>
#   anything else       the module's library
#
#   codegen_module(NAME DEPS lib... [ASIO] [STORES] [EXECUTABLE name] [STATIC_PIE] [TEST_DEPS lib...])
# ASIO: the module uses Boost.Asio. Others are kept free of it: the worker-wrapper links none of its code.
# STORES: its service tests run once with SQLite and once, named *.postgres, with PostgreSQL (testing::TestStore).
include(GoogleTest)

add_library(codegen_options INTERFACE)
target_include_directories(codegen_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(codegen_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Werror -fno-omit-frame-pointer
  -fPIC)   # everywhere alike: a precompiled header must match, and static-pie needs it
target_compile_definitions(codegen_options INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
  CODEGEN_VERSION="${PROJECT_VERSION}")
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # Time stamps in precompiled headers would defeat ccache.
  target_compile_options(codegen_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp" -fpch-instantiate-templates -Wno-unused-command-line-argument)
endif()
if(CODEGEN_SANITIZERS)
  target_compile_options(codegen_options INTERFACE -fsanitize=${CODEGEN_SANITIZERS} -fno-sanitize-recover=all)
  target_link_options(codegen_options INTERFACE -fsanitize=${CODEGEN_SANITIZERS})
endif()

# Coverage feedback in everything a fuzzer reaches. Under AddressSanitizer each one runs for some seconds as a test.
if(CODEGEN_SANITIZERS MATCHES "address" AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(CODEGEN_FUZZED ON)
  target_compile_options(codegen_options INTERFACE -fsanitize=fuzzer-no-link)
  add_custom_target(fuzzers)   # all of them
endif()
# The tests that want the programs as they ship; `make test` runs the others once, under sanitizers.
add_custom_target(system_tests)
set(codegen_label_prefix "")
if(CODEGEN_SANITIZERS)
  set(codegen_label_prefix "sanitized-")   # tools/test.sh picks from two trees by labels
endif()

# Debian has no static libfmt, and two programs are static. Compiled in each file that formats, it was a fifth of the build.
add_library(codegen_fmt STATIC ${CMAKE_SOURCE_DIR}/cmake/pch/fmt.cpp)
target_compile_options(codegen_fmt PRIVATE $<TARGET_PROPERTY:codegen_options,INTERFACE_COMPILE_OPTIONS>)
target_link_libraries(codegen_options INTERFACE codegen_fmt)

function(codegen_filter_suffix out_matching out_rest pattern)
  set(matching ${ARGN})
  set(rest ${ARGN})
  list(FILTER matching INCLUDE REGEX "${pattern}")
  list(FILTER rest EXCLUDE REGEX "${pattern}")
  set(${out_matching} ${matching} PARENT_SCOPE)
  set(${out_rest} ${rest} PARENT_SCOPE)
endfunction()

function(codegen_add_tests target label timeout deps)
  if(NOT ARGN)
    return()
  endif()
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE codegen_options codegen_asio ${deps} GTest::gmock GTest::gtest_main)
  target_precompile_headers(${target} REUSE_FROM codegen_test_pch)
  target_compile_options(${target} PRIVATE -O0)   # as codegen_test_pch
  # CODEGEN_BIN is where the test finds the programs it starts; tests of programs use the release build's.
  target_compile_definitions(${target} PRIVATE CODEGEN_SOURCE_DIR="${CMAKE_SOURCE_DIR}" CODEGEN_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/testbin)
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST PROPERTIES LABELS ${codegen_label_prefix}${label} TIMEOUT ${timeout})
  if(label MATCHES "^(integration|e2e)$")
    add_dependencies(system_tests ${target})
  endif()
endfunction()

function(codegen_add_postgres_tests target)
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST TEST_SUFFIX .postgres
    PROPERTIES LABELS ${codegen_label_prefix}service TIMEOUT 180 ENVIRONMENT CODEGEN_TEST_STORE=postgres)
endfunction()

function(codegen_module name)
  cmake_parse_arguments(arg "ASIO;STORES;STATIC_PIE" "EXECUTABLE" "DEPS;TEST_DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  codegen_filter_suffix(main sources "/main\\.cpp$" ${sources})
  codegen_filter_suffix(e2e sources "_e2etest\\.cpp$" ${sources})
  codegen_filter_suffix(integration sources "_integrationtest\\.cpp$" ${sources})
  codegen_filter_suffix(service sources "_(redis|db|service)test\\.cpp$" ${sources})
  codegen_filter_suffix(unit sources "_test\\.cpp$" ${sources})
  codegen_filter_suffix(benches sources "_bench\\.cpp$" ${sources})
  codegen_filter_suffix(fuzzers sources "_fuzz\\.cpp$" ${sources})

  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC codegen_options ${arg_DEPS})
    if(arg_ASIO)
      target_link_libraries(${name} PUBLIC codegen_asio)
      target_precompile_headers(${name} REUSE_FROM codegen_asio)
    else()
      target_precompile_headers(${name} REUSE_FROM codegen_pch)
    endif()
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE codegen_options ${arg_DEPS})
  endif()
  if(main)
    add_executable(${arg_EXECUTABLE} ${main})
    target_link_libraries(${arg_EXECUTABLE} PRIVATE ${name})
    if(arg_STATIC_PIE AND NOT CODEGEN_SANITIZERS)   # static sanitizer binaries crash at start
      target_link_options(${arg_EXECUTABLE} PRIVATE -static-pie)
      set_target_properties(${arg_EXECUTABLE} PROPERTIES LINK_SEARCH_START_STATIC ON LINK_SEARCH_END_STATIC ON)
    endif()
  endif()
  codegen_add_tests(${name}_test unit 120 "${name};${arg_TEST_DEPS}" ${unit})
  codegen_add_tests(${name}_servicetest service 180 "${name};${arg_TEST_DEPS}" ${service})
  if(arg_STORES)
    codegen_add_postgres_tests(${name}_servicetest)
  endif()
  # Sanitizers are for unit and service tests: what starts the programs or takes times has no use for them.
  if(CODEGEN_SANITIZERS)
    set(integration "")
    set(e2e "")
    set(benches "")
  endif()
  codegen_add_tests(${name}_integrationtest integration 300 "${name};${arg_TEST_DEPS}" ${integration})
  codegen_add_tests(${name}_e2etest e2e 600 "${name};${arg_TEST_DEPS}" ${e2e})
  if(benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE ${name} ${arg_TEST_DEPS} benchmark::benchmark benchmark::benchmark_main)
    set_target_properties(${name}_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/benchmarks)
    set_property(GLOBAL APPEND PROPERTY CODEGEN_BENCHES ${name}_bench)
  endif()
  if(CODEGEN_FUZZED)
    foreach(fuzzer ${fuzzers})
      get_filename_component(stem ${fuzzer} NAME_WE)
      add_executable(${stem} ${fuzzer})
      target_link_libraries(${stem} PRIVATE ${name})
      target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
      set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzzers)
      add_dependencies(fuzzers ${stem})
      # The committed corpus, then ten seconds of what it grows into; the same seed each time. `make soak`: ten minutes.
      file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz/corpus/${stem})
      add_test(NAME ${stem}.TenSeconds COMMAND ${stem} -max_total_time=10 -seed=1 -timeout=25 -rss_limit_mb=4096 -print_final_stats=1
        -artifact_prefix=${CMAKE_BINARY_DIR}/fuzz/${stem}- ${CMAKE_BINARY_DIR}/fuzz/corpus/${stem} ${CMAKE_SOURCE_DIR}/fuzz/corpus/${stem})
      set_tests_properties(${stem}.TenSeconds PROPERTIES LABELS ${codegen_label_prefix}unit TIMEOUT 120)
    endforeach()
  else()
    # The same entry points without libFuzzer: the committed corpus and mutations of it, in every run of the tests.
    foreach(fuzzer ${fuzzers})
      get_filename_component(stem ${fuzzer} NAME_WE)
      set(replay ${stem}_replay)
      add_executable(${replay} ${fuzzer} ${CMAKE_SOURCE_DIR}/cmake/fuzz_replay.cpp)
      target_link_libraries(${replay} PRIVATE ${name} GTest::gtest GTest::gtest_main)
      target_compile_definitions(${replay} PRIVATE CODEGEN_FUZZ_CORPUS="${CMAKE_SOURCE_DIR}/fuzz/corpus/${stem}")
      set_target_properties(${replay} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/testbin)
      gtest_discover_tests(${replay} DISCOVERY_MODE PRE_TEST TEST_PREFIX ${stem}. PROPERTIES LABELS ${codegen_label_prefix}unit TIMEOUT 120)
    endforeach()
  endif()
endfunction()

find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
set(Boost_USE_STATIC_LIBS ON)   # two programs are static; one kind everywhere
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
set(OPENSSL_USE_STATIC_LIBS ON)
find_package(OpenSSL REQUIRED)
set_property(GLOBAL PROPERTY CODEGEN_BENCHES "")
