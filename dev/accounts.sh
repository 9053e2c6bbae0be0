# shellcheck shell=bash
# shellcheck disable=SC2154  # set by dev/server.sh, or by dev/clients/run for its clients
# A server in accounts mode, and what its administrator does over the admin API. Sourced by dev/conformance, dev/clients/run (which start
# the server, with dev/server.sh) and dev/clients/login.sh (which makes accounts for each client).

accounts_address="${ACCOUNTS_REGISTRY:-}"
# ID:SECRET of the administrator's key.
accounts_admin="${ACCOUNTS_ADMIN:-}"

# accounts_start DATA LOG [FLAG…]: a server whose first start makes the account `admin`. Sets accounts_address and accounts_admin, besides what server_start
# sets.
accounts_start() {
  server_start "$1" "$2" --auth-mode accounts "${@:3}" || return
  accounts_address=$server_address
  # shellcheck source=/dev/null
  accounts_admin=$(. "$1/admin.key" && printf '%s:%s' "$STRATA_KEY_ID" "$STRATA_KEY_SECRET")
}

# accounts_api METHOD PATH JSON: prints the answer; fails with the answer on stderr where the server refuses.
accounts_api() {
  local answer
  if answer=$(curl --silent --show-error --fail-with-body --config - --request "$1" --header 'Content-Type: application/json' --data "$3" \
    "http://$accounts_address/api/v1/$2" <<<"user = \"$accounts_admin\""); then
    printf '%s\n' "$answer"
  else
    printf '%s %s: %s\n' "$1" "$2" "$answer" >&2
    return 1
  fi
}

# accounts_registry NAME [ANONYMOUS_PULL]: makes a registry; ANONYMOUS_PULL is true or false (the default).
accounts_registry() {
  accounts_api POST registries "$(jq -n --arg name "$1" --argjson anonymous "${2:-false}" '{name: $name, anonymous_pull: $anonymous}')"
}

# accounts_account NAME ROLE REGISTRY…: makes an account with a role in each registry.
accounts_account() {
  local name=$1 role=$2 where
  shift 2
  accounts_api POST accounts "$(jq -n --arg name "$name" '{name: $name, kind: "robot"}')"
  for where in "$@"; do
    accounts_api PUT "registries/$where/members/$name" "$(jq -n --arg role "$role" '{role: $role}')"
  done
}

# accounts_key NAME [REPOSITORIES ACTION…]: makes a key of an account; prints ID:SECRET. It may be narrowed to some actions in the repositories of a pattern.
accounts_key() {
  local name=$1 request='{}'
  shift
  if [ $# -gt 0 ]; then
    request=$(jq -n '$ARGS.positional | {narrowing: {repositories: .[:1], actions: .[1:]}}' --args "$@")
  fi
  accounts_api POST "accounts/$name/keys" "$request" | jq -r '"\(.id):\(.secret)"'
}
