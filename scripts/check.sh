#!/usr/bin/env bash
# Sets up this machine, builds, and runs every test. --all adds the slow ones:
# full trainings, every 16-bit input, mutants of the rules, and the tests again
# in a build with sanitizers (address, undefined behaviour) and in one by g++
# with warnings as errors.
# The last line is `N passed, N failed`; exit code 0 if none failed.

. "$(dirname "$0")/setup.sh"

case "${1-}" in
  "") all=false ;;
  --all) all=true ;;
  *) fail "usage: check.sh [--all]" ;;
esac

suites=()

# Runs the command, which writes its results to $results.
suite() {
  local name=$1
  shift
  results=$PWD/build/results/${name// /-}.xml
  suites+=("$name=$results")
  rm -f "$results"
  say "== $name"
  "$@" || say "$name: exit code $?"
}

run_lit() {
  .venv/bin/lit -sv --xunit-xml-output "$results" "build/$1/test"
}
run_unit() {
  ctest --test-dir "build/$1" --output-on-failure -j "$(nproc)" \
    --output-junit "$results" >"build/$1/ctest.log" ||
    { cat "build/$1/ctest.log"; return 1; }
}
run_pytest() {
  QUANT_STE_C_LIBRARY=$PWD/build/release/lib/libQuantSTE-C.so \
    .venv/bin/python -m pytest -q -c test/pytest.ini --rootdir=. \
    -n "$(nproc)" --dist worksteal test python/tests "$@" --junitxml "$results"
}

# build_and_test <preset> [<option for CMake>...]
build_and_test() {
  local preset=$1
  if ! { configure "$@" && build "$preset" all; }; then
    suites+=("build $preset=none")  # no results: counts as a failure
    return
  fi
  suite "lit $preset" run_lit "$preset"
  suite "unit $preset" run_unit "$preset"
}

mkdir -p build/results
install_packages
setup_python

build_and_test release
if $all; then
  suite pytest run_pytest
  build_and_test asan
  build_and_test gcc -DQUANT_STE_WARNINGS_AS_ERRORS=ON
else
  suite pytest run_pytest -m "not slow"
fi

python3 scripts/count_results.py "${suites[@]}"
