# shellcheck shell=bash
# The tools the suites run that Debian does not package: their pinned versions, where they are kept, how they are built.
# Sourced by dev/setup (which builds them) and by the suites (which ask `tool_path NAME`). Never run by itself.
#
# A tool lives in its own folder named after its version, so a new pin never meets an old binary and a second
# run of dev/setup finds everything in place without asking the network.

tools_cache="${STRATA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/strata}"

# NAME VERSION PACKAGE
tools_table='
crane   v0.22.1  github.com/google/go-containerregistry/cmd/crane
regctl  v0.11.7  github.com/regclient/regclient/cmd/regctl
oras    v1.3.1   oras.land/oras/cmd/oras
helm3   v3.22.0  helm.sh/helm/v3/cmd/helm
helm4   v4.3.1   helm.sh/helm/v4/cmd/helm
cosign2 v2.6.5   github.com/sigstore/cosign/v2/cmd/cosign
cosign3 v3.1.3   github.com/sigstore/cosign/v3/cmd/cosign
grpcurl v1.9.4   github.com/fullstorydev/grpcurl/cmd/grpcurl
buf     v1.75.0  github.com/bufbuild/buf/cmd/buf
conformance 967efdc079b91785ad18c77cc4f8991a47feefbf github.com/opencontainers/distribution-spec/conformance
distribution v3.1.1 github.com/distribution/distribution/v3/cmd/registry
zot     v2.1.20  zotregistry.dev/zot/v2/cmd/zot
zb      v2.1.20  zotregistry.dev/zot/v2/cmd/zb
'

# The ginkgo suite is a Go *test* package in an untagged nested module. The first version is the one of the tag v1.1.1;
# the second is an older state of the same suite (68 of its 79 specs), for module proxies that lack the first.
legacy_module=github.com/opencontainers/distribution-spec/conformance
legacy_versions='v0.0.0-20250123160558-a139cc423184 v0.0.0-20230516164017-7fcdf80f3c8b'

# What a Python client of gRPC is made with: protoc, the run time, what reads the details of a status. All of it pinned, also what these need.
python_grpc_version=1.85.1
python_grpc_pins="grpcio==$python_grpc_version grpcio-tools==$python_grpc_version grpcio-status==$python_grpc_version
  googleapis-common-protos==1.76.0 protobuf==7.36.2 setuptools==84.2.1 typing_extensions==4.16.0"

tools_say() { printf '%s\n' "$*" >&2; }

# tool_path NAME: prints the path of the built tool; fails when it is not there.
tool_path() {
  local name version package path
  while read -r name version package; do
    [ "$name" = "$1" ] || continue
    path="$tools_cache/bin-$name-${version:0:12}/$name"
    printf '%s\n' "$path"
    [ -x "$path" ]
    return
  done <<<"$tools_table"
  tools_say "no such tool in dev/tools.sh: $1"
  return 2
}

legacy_path() { printf '%s\n' "$tools_cache/bin-legacy-${1##*-}/conformance.test"; }

# legacy_suite_path: prints the path of the newest built ginkgo suite; fails when there is none.
legacy_suite_path() {
  local version path
  for version in $legacy_versions; do
    path=$(legacy_path "$version")
    if [ -x "$path" ]; then
      printf '%s\n' "$path"
      return
    fi
  done
  return 1
}

# go_ready: true when a Go that can build all of this is on PATH; says what to do otherwise.
# Go 1.21 and later fetch the toolchain that a module asks for, unless GOTOOLCHAIN=local forbids it.
go_ready() {
  local version
  if ! version=$(go env GOVERSION 2>/dev/null); then
    tools_say "Go is missing: install Go 1.26 or newer from https://go.dev/dl and put its bin folder on PATH"
    return 1
  fi
  if ! printf 'go1.21\n%s\n' "${version%% *}" | sort -V -C; then
    tools_say "$version is too old to build these tools: install Go 1.26 or newer from https://go.dev/dl"
    return 1
  fi
}

# compile PACKAGE VERSION OUTPUT COMMAND…: runs COMMAND (`go build` or `go test -c`) for PACKAGE in a module of its own that requires it at
# VERSION. `go install PACKAGE@VERSION` would do for most, but it cannot build a test package, and it asks the
# module proxy for the list of all versions, which not every proxy has.
compile() {
  local package=$1 version=$2 output=$3 started=$SECONDS work tests=''
  shift 3
  # Only a test package needs the modules of its tests, and there are many of those.
  [ "$2" != test ] || tests=-t
  go_ready || return 1
  mkdir -p "$tools_cache"
  work=$(mktemp -d "$tools_cache/build.XXXXXX")
  tools_say "building $(basename "$output") $version"
  if ! (cd "$work" && export GOFLAGS=-buildvcs=false && go mod init strata.invalid/build && go get $tests "$package@$version" \
    && nice "$@" -trimpath -ldflags='-s -w' -o "$work/out" "$package") >"$work/log" 2>&1; then
    grep -v -E '^go: (downloading|added|creating)' "$work/log" | tail -n 4 >&2
    rm -rf "$work"
    tools_say "could not build $(basename "$output") $version"
    return 1
  fi
  mkdir -p "$(dirname "$output")"
  mv -f "$work/out" "$output"
  rm -rf "$work"
  tools_say "built $(basename "$output") in $((SECONDS - started)) s"
}

# tool_build NAME: builds one tool of the table unless it is there. Prints nothing when there is nothing to do.
tool_build() {
  local wanted=$1 name version package path
  path=$(tool_path "$wanted") && return 0
  while read -r name version package; do
    [ "$name" = "$wanted" ] || continue
    compile "$package" "$version" "$path" go build || return 1
  done <<<"$tools_table"
}

# python_grpc_path: prints the path of the Python that has all of python_grpc_pins; fails when it is not there.
python_grpc_path() {
  local path="$tools_cache/python-grpc-$python_grpc_version/bin/python"
  printf '%s\n' "$path"
  [ -x "$path" ]
}

# python_grpc_build: makes a virtual environment for it unless it is there. It works wherever it lies, as only its `python` is ever called.
python_grpc_build() {
  local path work started=$SECONDS
  path=$(python_grpc_path) && return 0
  mkdir -p "$tools_cache"
  work=$(mktemp -d "$tools_cache/python.XXXXXX")
  tools_say "installing Python's grpcio-tools $python_grpc_version"
  # shellcheck disable=SC2086  # a list of words
  if ! { python3 -m venv "$work" && "$work/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: $python_grpc_pins; } \
    >"$work/log" 2>&1; then
    tail -n 4 "$work/log" >&2
    rm -rf "$work"
    tools_say "could not install Python's grpcio-tools $python_grpc_version"
    return 1
  fi
  rm -rf "$(dirname "$(dirname "$path")")"
  chmod 755 "$work"
  mv "$work" "$(dirname "$(dirname "$path")")"
  tools_say "installed grpcio-tools in $((SECONDS - started)) s"
}

# legacy_suite_build: builds the ginkgo suite as a test binary, the newest version that the module proxy has.
legacy_suite_build() {
  local version
  legacy_suite_path >/dev/null && return 0
  for version in $legacy_versions; do
    compile "$legacy_module" "$version" "$(legacy_path "$version")" go test -c && return 0
  done
  return 1
}
