# shellcheck shell=bash
# shellcheck disable=SC2154  # set by the files that source this
# What both Helm versions must do with charts in a registry. Sourced by helm3 and helm4, which set `tool`.
export HELM_CONFIG_HOME=$WORK/config HELM_CACHE_HOME=$WORK/cache HELM_DATA_HOME=$WORK/data
version=1.2.3+build.4
charts=oci://$REGISTRY/$client

push() {
  mkdir "$WORK/packed"
  "$tool" package "$FIXTURES/chart/demo" --destination "$WORK/packed"
  "$tool" push "$WORK/packed/demo-$version.tgz" "$charts" --plain-http
  # A tag cannot hold a plus sign: Helm writes an underscore.
  walk "$client/demo" 1.2.3_build.4
}
pull() {
  mkdir "$WORK/pulled"
  "$tool" pull "$charts/demo" --version "$version" --plain-http --destination "$WORK/pulled"
  cmp "$WORK/packed/demo-$version.tgz" "$WORK/pulled/demo-$version.tgz"
}
template() {
  diff <("$tool" template demo "$FIXTURES/chart/demo") <("$tool" template demo "$charts/demo" --version "$version" --plain-http)
  "$tool" show chart "$charts/demo" --version "$version" --plain-http | grep '^name: demo$'
}
newest() {
  "$tool" package "$FIXTURES/chart/demo" --version 1.3.0 --destination "$WORK/packed"
  "$tool" push "$WORK/packed/demo-1.3.0.tgz" "$charts" --plain-http
  # Without a version Helm lists the tags and takes the newest; with a range, the newest in it.
  "$tool" show chart "$charts/demo" --plain-http | grep '^version: 1.3.0$'
  "$tool" show chart "$charts/demo" --version '~1.2.0' --plain-http | grep -F "version: $version"
}
again() {
  # Packing writes no time stamps, but gzip may: the same file is pushed once more, the registry has all of it.
  "$tool" push "$WORK/packed/demo-1.3.0.tgz" "$charts" --plain-http
  walk "$client/demo" 1.3.0
}

check 'pushes a chart' push
check 'pulls it back byte for byte' pull
check 'templates straight from the registry' template
check 'lists versions to find the newest' newest
check 'pushes it again' again

# It asks the registry for what it has pushed, before it puts the tag.
reads_back=yes
log_in() { "$tool" registry login "$ACCOUNTS_REGISTRY" --plain-http --username "$1" --password-stdin; }
log_out() { "$tool" registry logout "$ACCOUNTS_REGISTRY"; }
send() { "$tool" push "$WORK/packed/demo-$version.tgz" "oci://$ACCOUNTS_REGISTRY/$1" --plain-http; }
fetch() {
  rm -rf "$WORK/fetched"
  mkdir "$WORK/fetched"
  "$tool" pull "oci://$ACCOUNTS_REGISTRY/$1/demo" --version "$version" --plain-http --destination "$WORK/fetched"
  cmp "$WORK/packed/demo-$version.tgz" "$WORK/fetched/demo-$version.tgz"
}
. "$clients_dir/login.sh"
