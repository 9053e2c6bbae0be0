# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # set by the files that source this, or read by login.sh
# What both cosign versions must do with keys on disk and no network: no transparency log, no trust roots to fetch.
# Sourced by cosign2 and cosign3, which set `tool`, the sign flags and the verify flags.
export COSIGN_PASSWORD=secret
image=$REGISTRY/$client/app@$(fixture_digest image)

keys() {
  (cd "$WORK" && "$tool" generate-key-pair --output-key-prefix signer && "$tool" generate-key-pair --output-key-prefix stranger)
}
sign() { "$tool" sign --yes --allow-http-registry "${sign_flags[@]}" --annotations checked=yes --key "$WORK/signer.key" "$image"; }
verify() {
  "$tool" verify --allow-http-registry "${verify_flags[@]}" --key "$WORK/signer.pub" "$image" >"$WORK/verified.json"
  jq -e --arg digest "$(fixture_digest image)" '.[0].critical.image."docker-manifest-digest" == $digest' "$WORK/verified.json"
}
stranger() { fails "$tool" verify --allow-http-registry "${verify_flags[@]}" --key "$WORK/stranger.pub" "$image"; }
attest() {
  printf '{"checked":"yes"}' >"$WORK/predicate.json"
  "$tool" attest --yes --allow-http-registry "${sign_flags[@]}" --type custom --predicate "$WORK/predicate.json" --key "$WORK/signer.key" "$image"
  "$tool" verify-attestation --allow-http-registry "${attestation_flags[@]}" --type custom --key "$WORK/signer.pub" "$image" >"$WORK/attested.json"
  jq -r '.payload // .dsseEnvelope.payload' "$WORK/attested.json" | base64 -d | grep checked
}
copy() {
  "$tool" copy --allow-http-registry "$image" "$REGISTRY/$client/copy:v1"
  same_as_fixture image "$client/copy" v1
  "$tool" verify --allow-http-registry "${verify_flags[@]}" --key "$WORK/signer.pub" "$REGISTRY/$client/copy:v1"
}
tree() { "$tool" tree --allow-http-registry "$image" | tee "$WORK/tree" | grep -E 'Signatures|sigstore.dev/cosign/sign'; }

check 'has an image to sign' seed image "$client/app" v1
check 'makes keys' keys
check 'signs' sign
check 'verifies' verify
check 'does not verify with a key of somebody else' stranger
check 'attests and verifies the attestation' attest
check 'shows the tree of signatures' tree

# Its login writes down what it is given and asks nobody. There is no logout: Docker's file of credentials is Cosign's as well.
log_in_asks=no
# What it signs it reads first.
reads_back=yes
log_in() { "$tool" login "$ACCOUNTS_REGISTRY" --username "$1" --password-stdin; }
log_out() { rm -f "$HOME/.docker/config.json"; }
save() { "$tool" save --allow-http-registry --dir "$1" "$2"; }
send() {
  [ -e "$WORK/saved" ] || save "$WORK/saved" "$REGISTRY/$client/unsigned:v1"
  "$tool" load --allow-http-registry --dir "$WORK/saved" "$ACCOUNTS_REGISTRY/$1:v1"
  image=$ACCOUNTS_REGISTRY/$1@$(fixture_digest image)
  sign
}
fetch() {
  rm -rf "$WORK/fetched"
  save "$WORK/fetched" "$ACCOUNTS_REGISTRY/$1:v1"
  same_layout image "$WORK/fetched"
  image=$ACCOUNTS_REGISTRY/$1@$(fixture_digest image)
  verify
}
check 'has an image without signatures' seed image "$client/unsigned" v1
