#!/usr/bin/env bash
# Sets up what the tests need and runs them; arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"
. ./environment.sh
make_environment requirements-dev.txt
exec python -m pytest "$@"
