# Sourced by demo.sh and check.sh: what a bare Debian 12 needs, the build, and the
# Python environment of the tests. Each step looks first and does nothing when it
# is done already, so that a second run needs no network.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools
  clang-22 libclang-rt-22-dev lld-22 libomp-22-dev g++
  cmake ninja-build ccache
  libgtest-dev libgmock-dev libbenchmark-dev libopenblas-dev
  python3 python3-venv
)
python_packages=(numpy ml_dtypes pytest pytest-xdist hypothesis scikit-learn lit
  nanobind scikit-build-core matplotlib onnx qonnx onnxoptimizer mypy)
torch=torch==2.13.0
# What the ops are compared with. bitorch asks for more than its quantizers need.
libraries=(brevitas==0.13.4 pandas bitorchinfo)
bitorch=bitorch==0.4.1

say() { printf '%s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "installing packages needs root: run this as root, or install sudo"
  fi
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

has_candidate() {
  local candidate
  candidate=$(LC_ALL=C apt-cache policy "$1" | sed -n 's/^  Candidate: //p')
  [ -n "$candidate" ] && [ "$candidate" != "(none)" ]
}

install_packages() {
  local missing=() unknown=() package
  if ! command -v apt-get >/dev/null; then
    say "not a Debian system, so nothing is installed; needed: ${packages[*]}"
    return
  fi
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root apt-get update -q
  for package in "${missing[@]}"; do
    has_candidate "$package" || unknown+=("$package")
  done
  [ ${#unknown[@]} -eq 0 ] || fail "$(cat <<END
$(. /etc/os-release && say "$PRETTY_NAME") has no package ${unknown[*]}.
  Debian 12 has LLVM 22 among its security updates; /etc/apt/sources.list needs
    deb http://deb.debian.org/debian-security bookworm-security main
  For other releases see https://apt.llvm.org.
END
)"
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# configure <preset> [<option for CMake>...]
configure() {
  [ -e "build/$1/build.ninja" ] || cmake --preset "$@"
}

# build <preset> <target>...
build() {
  local preset=$1
  shift
  say "building $* (build/$preset)"
  cmake --build --preset "$preset" --target "$@"
}

# Python for the tests, in .venv. The mark says what was installed.
setup_python() {
  local wanted="${python_packages[*]} $torch ${libraries[*]} $bitorch"
  local mark=.venv/quant_ste-installed
  if [ -e "$mark" ] && [ "$(cat "$mark")" = "$wanted" ]; then
    return
  fi
  say "installing $wanted in .venv"
  [ -x .venv/bin/pip ] || python3 -m venv .venv
  .venv/bin/pip install -q "${python_packages[@]}"
  # The index of CPU builds spares 2 GB of CUDA; elsewhere any build will do.
  .venv/bin/pip install -q --retries 1 --timeout 20 \
    --index-url https://download.pytorch.org/whl/cpu "$torch" 2>/dev/null ||
    .venv/bin/pip install -q "$torch"
  .venv/bin/pip install -q "${libraries[@]}"
  .venv/bin/pip install -q --no-deps "$bitorch"
  printf '%s' "$wanted" > "$mark"
}
