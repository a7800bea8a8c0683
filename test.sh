#!/usr/bin/env bash
# Sets up what the tests need and runs them all, two files side by side; or, with arguments, what these tell pytest.
set -euo pipefail
cd "$(dirname "$0")"
. ./environment.sh
make_environment requirements-dev.txt
if [ $# = 0 ]; then set -- -n 2 --dist loadfile; fi
exec python -m pytest "$@"
