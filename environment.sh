# Makes the Python environment of this checkout; read by launch.sh and test.sh.

stop() {
  echo "$1" >&2
  exit 1
}

find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
    if command -v "$name" > /dev/null &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
      echo "$name"
      return
    fi
  done
  if command -v python3 > /dev/null; then
    stop "knossosd needs Python 3.11 or newer; this machine has $(python3 --version 2>&1)."
  fi
  stop "knossosd needs Python 3.11 or newer, and there is none on this machine."
}

# make_environment REQUIREMENTS: after this, .venv is active and holds what the file asks for.
make_environment() {
  local requirements=$1 stamp python wanted
  stamp=.venv/.installed-$requirements
  if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c pass 2> /dev/null; then
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' 2> /dev/null ||
      stop "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"
    echo "Making the Python environment in .venv …" >&2
    rm -rf .venv
    "$python" -m venv .venv || stop "The environment could not be made in .venv: is this folder writable?"
  fi
  PATH=$PWD/.venv/bin:$PATH
  export PATH
  wanted=$(cat requirements.txt "$requirements" | cksum)
  if [ "$(cat "$stamp" 2> /dev/null)" != "$wanted" ]; then
    echo "Installing the packages of $requirements …" >&2
    python -m pip install --disable-pip-version-check -q -r "$requirements" > .venv/pip.log 2>&1 ||
      stop "The packages could not be installed: $(tail -n 3 .venv/pip.log)"
    echo "$wanted" > "$stamp"
  fi
}
