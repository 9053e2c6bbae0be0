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

# same_files TAR FOLDER: every regular file of an exported container is what the fixtures' root file system has.
same_files() {
  mkdir -p "$WORK/exported" "$WORK/rootfs"
  tar -xf "$1" -C "$WORK/exported"
  tar -xf "$FIXTURES/rootfs.tar" -C "$WORK/rootfs"
  local file
  for file in bin/busybox etc/passwd etc/strata; do cmp "$WORK/rootfs/$file" "$WORK/exported/$file"; done
}
