# shellcheck shell=bash
# shellcheck disable=SC2154  # set by the files that source this
# What every client must do at a registry with accounts. Sourced by each client at its end, which defines before
#   log_in ID     logs in at $ACCOUNTS_REGISTRY with a key's id and the secret that comes on stdin
#   log_out       forgets it; succeeds where there is nothing to forget
#   send PLACE    pushes something below the repository or chart folder PLACE of that registry
#   fetch PLACE   pulls it from there into nothing that was there before, and compares every byte with what was pushed
# and may say
#   log_in_asks=no   its login does not ask the registry whether the secret is right
#   reads_back=yes   it reads what it has pushed before it has done, so it cannot push without the right to pull
# shellcheck source=../accounts.sh
. "$clients_dir/../accounts.sh"
: "${log_in_asks:=yes}" "${reads_back:=no}"

log_in_as() { cut -d: -f2 "$WORK/$1.key" | log_in "$(cut -d: -f1 "$WORK/$1.key")"; }

# refused COMMAND…: it stops, and says that it is about rights or credentials rather than anything else.
refused() {
  local said status=0
  set +e
  said=$(
    set -e
    "$@" 2>&1
  )
  status=$?
  set -e
  printf '%s\n' "$said"
  [ "$status" -ne 0 ]
  grep -iE 'denied|unauthorized|not authorized|authentication (is )?required|forbidden|invalid username/password' <<<"$said"
}

prepare() {
  local role
  accounts_registry "$client"
  accounts_registry "$client-public" true
  accounts_account "$client-admin" admin "$client" "$client-public"
  for role in viewer uploader; do accounts_account "$client-$role" "$role" "$client"; done
  for role in admin viewer uploader; do accounts_key "$client-$role" >"$WORK/$role.key"; done
  accounts_key "$client-admin" "$client/robot/**" pull push >"$WORK/robot.key"
  sed 's/:.*/:strata_of-somebody-else/' "$WORK/admin.key" >"$WORK/wrong.key"
}
as_wrong() {
  if [ "$log_in_asks" = yes ]; then refused log_in_as wrong; else log_in_as wrong; fi
  refused fetch "$client/app"
}
as_admin() {
  log_in_as admin
  send "$client/app"
  fetch "$client/app"
  send "$client-public/app"
}
as_viewer() {
  log_in_as viewer
  fetch "$client/app"
  refused send "$client/viewer"
}
as_uploader() {
  log_in_as uploader
  send "$client/uploader"
  refused fetch "$client/uploader"
  log_out
  log_in_as admin
  fetch "$client/uploader"
}
as_reading_uploader() {
  log_in_as uploader
  refused send "$client/uploader"
  refused fetch "$client/app"
}
as_robot() {
  log_in_as robot
  send "$client/robot/app"
  fetch "$client/robot/app"
  refused send "$client/other"
}
disabled() {
  log_in_as robot
  accounts_api PATCH "accounts/$client-admin/keys/$(cut -d: -f1 "$WORK/robot.key")" '{"state": "disabled"}'
  refused fetch "$client/robot/app"
}
logged_out() {
  log_in_as viewer
  log_out
  refused fetch "$client/app"
}
as_nobody() {
  log_out
  fetch "$client-public/app"
  refused fetch "$client/app"
  refused send "$client-public/nobody"
}

check 'has accounts at a registry' prepare
check 'is refused with a wrong secret' as_wrong
check 'logs in, pushes and pulls back' as_admin
check 'pulls and cannot push as a viewer' as_viewer
if [ "$reads_back" = no ]; then
  check 'pushes and cannot pull as an uploader' as_uploader
else
  check 'is told as an uploader that it has to pull' as_reading_uploader
fi
check 'pushes and pulls with a narrowed key' as_robot
check 'is refused as soon as its key is disabled' disabled
check 'logs out' logged_out
check 'pulls without a login where everybody may' as_nobody
