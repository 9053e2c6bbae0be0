# shellcheck shell=bash
# Private container storage for podman and buildah: below WORK, on vfs, no policy, no registries of the machine. Sourced by both.
cat >"$WORK/storage.conf" <<CONF
[storage]
driver = "vfs"
runroot = "$WORK/run"
graphroot = "$WORK/graph"
CONF
printf 'unqualified-search-registries = []\n' >"$WORK/registries.conf"
mkdir -p "$WORK/xdg"
chmod 700 "$WORK/xdg"
export CONTAINERS_STORAGE_CONF=$WORK/storage.conf CONTAINERS_REGISTRIES_CONF=$WORK/registries.conf XDG_RUNTIME_DIR=$WORK/xdg
