# shellcheck shell=bash
# What every client test shares: checks with a verdict line each, comparisons with the fixtures, the cutting proxy.
# Sourced by the files of this folder that are named after a client; dev/clients/run starts those and sets
#   REGISTRY  HOST:PORT of the open server  FIXTURES  the folder that dev/clients/fixtures filled
#   WORK      a folder of the client's own  RESULTS   the file that takes one word per check
#   ACCOUNTS_REGISTRY, ACCOUNTS_ADMIN         HOST:PORT of the server with accounts, ID:SECRET of its administrator's key
#   GRPC, ACCOUNTS_GRPC       where the two answer gRPC
set -euo pipefail
clients_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../tools.sh
. "$clients_dir/../tools.sh"
client=$(basename "$0")
: "${REGISTRY:?}" "${GRPC:?}" "${ACCOUNTS_REGISTRY:?}" "${ACCOUNTS_GRPC:?}" "${ACCOUNTS_ADMIN:?}" "${FIXTURES:?}" "${WORK:?}" "${RESULTS:?}"
cut_address=''

# check NAME COMMAND…: runs it in a subshell that stops at the first error; prints the verdict, and what was said when it failed.
# Call it as a statement, never in a condition: a condition would switch the stopping off.
check() {
  local name=$1 log status started=${EPOCHREALTIME/./}
  shift
  log=$(mktemp "$WORK/check.XXXXXX")
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [ "$status" -eq 0 ]; then
    printf '%s: %s: passed (%d ms)\n' "$client" "$name" $(((${EPOCHREALTIME/./} - started) / 1000))
    echo passed >>"$RESULTS"
  else
    printf '%s: %s: FAILED (exit code %d)\n' "$client" "$name" "$status"
    tail -n 15 "$log" | sed 's/^/    /'
    echo failed >>"$RESULTS"
  fi
}

# skip REASON: says that this client, or what is left of it, cannot run here.
skip() {
  printf '%s: skipped: %s\n' "$client" "$1"
  echo skipped >>"$RESULTS"
}

# need COMMAND…: ends this client's run, said as a skip, when one of the commands is not installed.
need() {
  local command
  for command in "$@"; do
    command -v "$command" >/dev/null && continue
    skip "$command is not installed: dev/setup clients"
    exit 0
  done
}

# need_root: the same for what only root can do.
need_root() {
  [ "$(id -u)" -eq 0 ] && return
  skip "its daemon needs root"
  exit 0
}

# need_tool NAME: a Go tool of dev/tools.sh; sets the variable `tool` to its path.
need_tool() {
  # shellcheck disable=SC2034  # read by the client
  tool=$(tool_path "$1") && return
  skip "$1 is not built: dev/setup clients"
  exit 0
}

fails() { if "$@"; then return 1; fi; }

# eventually COMMAND…: waits up to 30 s for it to succeed.
eventually() {
  local _
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  "$@"
}

# stop_daemon PID: SIGTERM, then SIGKILL after 10 s.
stop_daemon() {
  local _
  kill -TERM "$1" 2>/dev/null || return 0
  for _ in $(seq 100); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1" 2>/dev/null || true
}

walk() { "$clients_dir/walk" "$REGISTRY" "$@"; }

# same_as_fixture image|index REPOSITORY REFERENCE: the registry holds exactly those digests and sizes, every byte right.
same_as_fixture() { diff "$FIXTURES/$1.list" <(walk "$2" "$3"); }

# includes_fixture image|index REPOSITORY REFERENCE: the same, but more may hang on it (an outer index, another manifest form).
includes_fixture() { [ -z "$(comm -23 "$FIXTURES/$1.list" <(walk "$2" "$3"))" ]; }

# same_layout image|index LAYOUT: an OCI layout on disk holds every blob of the fixture, byte for byte.
same_layout() {
  local digest
  while read -r digest _; do
    cmp "$FIXTURES/$1/blobs/sha256/${digest#sha256:}" "$2/blobs/sha256/${digest#sha256:}"
  done <"$FIXTURES/$1.list"
}

# same_files TAR: every regular file of an exported container is what the fixtures' root file system has.
same_files() {
  rm -rf "$WORK/exported"
  mkdir -p "$WORK/exported" "$WORK/rootfs"
  tar -xf "$1" -C "$WORK/exported"
  tar -xf "$FIXTURES/rootfs.tar" -C "$WORK/rootfs"
  local file
  for file in bin/busybox etc/passwd etc/strata; do cmp "$WORK/rootfs/$file" "$WORK/exported/$file"; done
}

fixture_digest() { cat "$FIXTURES/$1.digest"; }

# seed image|index REPOSITORY TAG: puts a fixture into the registry by plain HTTP, for clients that only read.
seed() { python3 "$clients_dir/seed" "$REGISTRY" "$FIXTURES/$1" "$2" "$3"; }

# cut_start: from now on, until the check ends, `cut_address` is the registry behind a proxy that breaks the first download of 8 MiB.
cut_start() {
  : >"$WORK/cut.log"
  : >"$WORK/cut.port"
  "$clients_dir/cutter" "${REGISTRY##*:}" "$WORK/cut.log" >"$WORK/cut.port" &
  # A check runs in a subshell of its own: this is its exit.
  # shellcheck disable=SC2064  # the process id is meant now
  trap "kill $! 2>/dev/null || true" EXIT
  eventually test -s "$WORK/cut.port"
  # shellcheck disable=SC2034  # read by the clients
  cut_address="127.0.0.1:$(cat "$WORK/cut.port")"
}

was_cut() { grep -qx cut "$WORK/cut.log"; }

# was_resumed: after a cut, the client asked for the rest only.
was_resumed() {
  cat "$WORK/cut.log"
  was_cut
  sed '1,/^cut$/d' "$WORK/cut.log" | grep -i 'range: bytes=[1-9]'
}
