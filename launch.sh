#!/usr/bin/env bash
# Sets up what is missing, starts the server in the foreground, and prints its address and key.
#
#   ./launch.sh [--port N]     start
#   ./launch.sh demo           start, and convert the mod in examples/ through the HTTP API
#
# Ctrl-C, or SIGTERM to this script, stops everything.
set -euo pipefail
cd "$(dirname "$0")"
. ./environment.sh

READY_TRIES=600

main() {
  local demo=no port=() arguments=("$@")
  while [ $# -gt 0 ]; do
    case "$1" in
      demo) demo=yes ;;
      --port) [ $# -gt 1 ] || stop "--port needs a number."; port=(--port "$2"); shift ;;
      *) stop "Usage: ./launch.sh [demo] [--port N]" ;;
    esac
    shift
  done

  make_environment requirements.txt
  announcement=$(python knossosd.py setup ${port[@]+"${port[@]}"}) || exit $?
  address=$(printf '%s\n' "$announcement" | sed -n 1p)
  key=$(printf '%s\n' "$announcement" | sed -n 2p)
  user=$(printf '%s\n' "$announcement" | sed -n 3p)
  become_user ${arguments[@]+"${arguments[@]}"}
  refuse_second_start
  start_supervisor
  wait_until_ready
  printf '\n  knossosd runs at  %s\n  API key           %s\n\n  Ctrl-C stops it.\n\n' "$address" "$key"
  if [ "$user" = root ]; then
    printf '  ATTENTION: everything runs as root. Name another user in RUN_AS, in conf/settings.py.\n\n'
  fi
  if [ "$demo" = yes ]; then
    convert_example
  fi
  wait_for_supervisor
}

# Root starts over as the user that the settings name, so that the supervisor and its files are that user's as well.
become_user() {
  case "$user" in
    - | root) return ;;
  esac
  exec python -m knossosd.privileges ./launch.sh "$@"
}

refuse_second_start() {
  if [ -S var/supervisor.sock ] && supervisorctl -c supervisord.conf pid > /dev/null 2>&1; then
    stop "The server of this checkout already runs, at $address."
  fi
  if is_taken; then
    stop "The port of $address is taken by another program: change it in conf/settings.py."
  fi
}

# The subshells close the connection again. bash's /dev/tcp needs no program of the system.
is_taken() {
  (exec 3<> "$(device)") 2> /dev/null
}

answers() {
  (
    exec 3<> "$(device)"
    printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3
    read -r -t 10 <&3
  ) 2> /dev/null
}

device() {
  local place=${address#http://}
  echo "/dev/tcp/${place%:*}/${place##*:}"
}

start_supervisor() {
  (umask 077 && exec supervisord -n --silent -c supervisord.conf > var/log/launch.log 2>&1) &
  supervisor=$!
  trap 'kill -TERM "$supervisor" 2> /dev/null || true' TERM INT HUP
}

wait_until_ready() {
  local waited=0
  until answers; do
    kill -0 "$supervisor" 2> /dev/null || stop "The server did not start: see the files in var/log/."
    waited=$((waited + 1))
    if [ "$waited" -gt "$READY_TRIES" ]; then
      kill -TERM "$supervisor"
      wait_for_supervisor
      stop "The server did not answer in time: see the files in var/log/."
    fi
    sleep 0.1
  done
}

convert_example() {
  echo "Packing the example mod and converting it:"
  mkdir -p -m 700 var/demo
  rm -f var/demo/*
  sevenzip=$(python -c 'from knossosd.conversion.sevenzip import SevenZip; print(SevenZip().program)')
  (cd examples/shiny_test_mod && "$sevenzip" a -bd ../../var/demo/shiny_core.7z mod.ini data/tables > /dev/null)
  (cd examples/shiny_test_mod/data && "$sevenzip" a -bd ../../../var/demo/shiny_missions.7z missions > /dev/null)
  if KNOSSOSD_KEY=$key python knossosd.py submit examples/mod.json var/demo/generated.json --server "$address"; then
    echo "The generated document (var/demo/generated.json):"
    python -m json.tool var/demo/generated.json
    printf '\nThe server keeps running at %s; Ctrl-C stops it.\n' "$address"
  fi
}

# A signal ends the first wait, so wait again until the supervisor has really gone.
wait_for_supervisor() {
  while kill -0 "$supervisor" 2> /dev/null; do
    wait "$supervisor" || true
  done
}

main "$@"
