# Sourced by the other scripts: makes and keeps up to date the project's own Python environment, .venv.
# Set ROOT (the checkout) first, then call `setup_environment` or `setup_environment dev`.

SETUP_PYTHON=""
# measured: 1.82 GB without, 1.95 GB with the tools for tests, and some for compiled Python files
VENV_MB=2100
DOWNLOAD_MB=500

setup_fail() {
  printf 'codesign: %s\n' "$@" >&2
  exit 2
}

# The first of $PYTHON, python3.11 and python3 that is Python 3.11, into SETUP_PYTHON; otherwise a message naming what was found.
find_python() {
  local candidate version found=""
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3; do
    version=$("$candidate" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
    case "$version" in
      3.11.*) SETUP_PYTHON="$candidate"; return ;;
    esac
    found="$found${found:+, }$candidate is $version"
  done
  setup_problems+=("Python 3.11 is needed; found: ${found:-no Python at all}. Install python3.11, or set PYTHON to one.")
}

# Every reason why the set-up could not work, one line each, before anything is made or downloaded.
check_prerequisites() {
  local system missing tool free libc already=0
  system="$(uname -s) $(uname -m)"
  [ "$system" = "Linux x86_64" ] ||
    setup_fail "Linux x86-64 is needed; this is $system. On Windows use WSL2, where it works the same; on a Mac use a Linux x86-64 machine."
  setup_problems=()
  find_python
  if [ -n "$SETUP_PYTHON" ]; then
    missing=$("$SETUP_PYTHON" -c '
import importlib
for name in ("venv", "ensurepip", "ssl", "sqlite3", "ctypes"):
    try:
        importlib.import_module(name)
    except ImportError:
        print(name, end=" ")')
    [ -z "$missing" ] ||
      setup_problems+=("$SETUP_PYTHON lacks the standard module(s) ${missing% }; on Debian and Ubuntu: apt-get install python3.11-venv.")
  fi
  for tool in g++ make; do
    command -v "$tool" >/dev/null ||
      setup_problems+=("$tool is needed to simulate the hardware and was not found on PATH; on Debian and Ubuntu: apt-get install $tool.")
  done
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=""
  case "$libc" in
    "glibc 2."[3-9][0-9]* | "glibc 2.2"[89]*) ;;
    *) setup_problems+=("glibc 2.28 or newer is needed; found: ${libc:-another C library}.") ;;
  esac
  [ -w "$ROOT" ] || setup_problems+=("$ROOT is not writable, and .venv is made there.")
  [ ! -d "$ROOT/.venv" ] || already=$(du -sm "$ROOT/.venv" | cut -f1)
  free=$(free_mb "$ROOT")
  [ $((free + already)) -ge $VENV_MB ] ||
    setup_problems+=("$VENV_MB MB of disk are needed in $ROOT; $free MB are free.")
  free=$(free_mb "${TMPDIR:-/tmp}")
  [ "$free" -ge $DOWNLOAD_MB ] ||
    setup_problems+=("$DOWNLOAD_MB MB are needed in ${TMPDIR:-/tmp} while downloading; $free MB are free. Set TMPDIR to a folder with room.")
  [ ${#setup_problems[@]} -eq 0 ] || setup_fail "${setup_problems[@]}"
}

free_mb() {
  df -Pm "$1" | awk 'NR == 2 {print $4}'
}

# What a complete environment is stamped with; cheap, since every start compares it.
stamp_of() {
  { cat "$ROOT/$1"; printf '%s\n' "$ROOT"; } | sha256sum
}

is_ready() {
  [ -x "$ROOT/.venv/bin/python" ] && [ "$(cat "$ROOT/.venv/$1.ready" 2>/dev/null)" = "$(stamp_of "$1")" ]
}

# Installs one requirements file. The stamp goes first and comes back last, so that an interruption is seen.
install_requirements() {
  local quiet=()
  [ -t 2 ] || quiet=(--quiet) # pip's progress bars are for people
  rm -f "$ROOT/.venv/$1.ready"
  "$ROOT/.venv/bin/python" -m pip install "${quiet[@]}" --disable-pip-version-check --no-deps --no-compile \
    --only-binary :all: -r "$ROOT/$1" >&2 || setup_fail "the installation did not finish (pip's message is above); start it again, it resumes."
  stamp_of "$1" >"$ROOT/.venv/$1.ready"
}

# The packages of the checkout are found from every folder, and its name and entry point by importlib.metadata, as if pip
# had installed it: by that hls4ml finds its backend.
name_checkout() {
  local site="$ROOT/.venv/lib/python3.11/site-packages" version info
  version=$(awk -F '"' '$1 == "version = " {print $2}' "$ROOT/pyproject.toml")
  info="codesign_fpga-$version.dist-info"
  rm -rf "$ROOT/.venv/pyproject.toml.ready" "$site"/codesign_fpga-*.dist-info
  mkdir "$site/$info" || setup_fail "$site/$info could not be made"
  printf '%s\n' "$ROOT" >"$site/codesign-checkout.pth"
  printf 'Metadata-Version: 2.1\nName: codesign-fpga\nVersion: %s\n' "$version" >"$site/$info/METADATA"
  printf '[hls4ml.backends]\ncodesign = codesign.hls4ml_plugin:register\n' >"$site/$info/entry_points.txt"
  printf '%s,,\n' codesign-checkout.pth "$info"/{METADATA,entry_points.txt,RECORD} >"$site/$info/RECORD"
  stamp_of pyproject.toml >"$ROOT/.venv/pyproject.toml.ready"
}

make_environment() {
  echo "codesign: first use: making $ROOT/.venv with $("$SETUP_PYTHON" --version)" >&2
  echo "codesign: downloads about 430 MB of Python packages (TensorFlow is 270 of them), takes 1.9 GB of disk" >&2
  echo "codesign: step 1 of 2: virtual environment" >&2
  find "$ROOT/.venv" -mindepth 1 ! -name lock -delete
  "$SETUP_PYTHON" -m venv "$ROOT/.venv" || setup_fail "$SETUP_PYTHON could not make $ROOT/.venv"
  name_checkout
  echo "codesign: step 2 of 2: packages" >&2
  install_requirements requirements.txt
  echo "codesign: ready" >&2
}

# setup_environment [dev]: returns with a complete .venv, whose python is then the project's.
setup_environment() {
  # someone else's module path would put other versions, or other packages of our names, before ours
  unset PYTHONPATH PYTHONHOME
  if is_ready requirements.txt && is_ready pyproject.toml && { [ "${1:-}" != dev ] || is_ready requirements-dev.txt; }; then
    return
  fi
  [ -e "$ROOT/.venv/requirements.txt.ready" ] && [ -x "$ROOT/.venv/bin/python" ] || check_prerequisites
  mkdir -p "$ROOT/.venv" || setup_fail "$ROOT/.venv could not be made"
  exec 9>"$ROOT/.venv/lock"
  if ! flock --nonblock 9; then
    echo "codesign: another set-up is running in $ROOT/.venv; waiting for it" >&2
    flock 9
  fi
  if [ ! -e "$ROOT/.venv/requirements.txt.ready" ] || [ ! -x "$ROOT/.venv/bin/python" ]; then
    make_environment
  fi
  is_ready pyproject.toml || name_checkout
  if ! is_ready requirements.txt; then
    echo "codesign: requirements.txt or the place of the checkout changed: updating $ROOT/.venv" >&2
    install_requirements requirements.txt
  fi
  if [ "${1:-}" = dev ] && ! is_ready requirements-dev.txt; then
    echo "codesign: adding the tools for tests and checks (35 MB)" >&2
    install_requirements requirements-dev.txt
  fi
  exec 9>&-
}

# Environments with pynq for virtual boards, in the user's cache, so that the tests download nothing.
setup_virtual_boards() {
  (cd "$ROOT" && .venv/bin/python -P -m codesign.deployment.pynq_environment >&2) ||
    echo "codesign: the tests that need it are skipped" >&2
}
