# shellcheck shell=bash
# Starts and stops the Strata binary for the suites. Sourced by dev/conformance and dev/clients/run, never run by itself.

strata_bin="${STRATA_BIN:-${CARGO_TARGET_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target}/release/strata}"
server_pid=''
server_address=''
server_grpc=''

# server_start DATA LOG [FLAG…]: starts it on free loopback ports and waits until it listens. Sets server_address (HOST:PORT), and server_grpc where
# it answers gRPC in the clear. STRATA_GRPC_LISTEN, a flag or a file of settings may say something else of gRPC.
server_start() {
  local data=$1 log=$2 line waited=0
  shift 2
  [ -x "$strata_bin" ] || {
    echo "no binary at $strata_bin: run \`cargo build --release\` first, or name one in STRATA_BIN" >&2
    return 1
  }
  # What an earlier server said is no longer true.
  rm -f "$log.out"
  STRATA_GRPC_LISTEN=${STRATA_GRPC_LISTEN-127.0.0.1:0} "$strata_bin" serve --listen 127.0.0.1:0 --data "$data" "$@" >"$log.out" 2>"$log" &
  server_pid=$!
  until line=$(grep -s -m 1 -o 'listening on http://[^ ]*' "$log.out"); do
    if ! kill -0 "$server_pid" 2>/dev/null || [ "$waited" -ge 300 ]; then
      echo "the server did not come up; its log:" >&2
      tail -n 20 "$log" >&2
      server_stop
      return 1
    fi
    sleep 0.1
    waited=$((waited + 1))
  done
  # shellcheck disable=SC2034  # read by the scripts that source this
  server_address=${line#listening on http://}
  # Said with the line before, in one breath.
  line=$(grep -m 1 -o 'listening on grpc://[^ ]*' "$log.out" || true)
  # shellcheck disable=SC2034  # read by the scripts that source this
  server_grpc=${line#listening on grpc://}
}

# server_stop: SIGTERM, and SIGKILL when it has not drained within 20 s. Fails when it had to be killed or left with an error.
server_stop() {
  local pid=$server_pid waited=0 status=0
  [ -n "$pid" ] || return 0
  server_pid=''
  kill -TERM "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do
    if [ "$waited" -ge 200 ]; then
      echo "the server did not stop within 20 s of SIGTERM: killed" >&2
      kill -KILL "$pid" 2>/dev/null || true
    fi
    sleep 0.1
    waited=$((waited + 1))
  done
  wait "$pid" 2>/dev/null || status=$?
  return "$status"
}
