//! Bad tokens as a table, then good ones and what must hold for any text.

use super::*;
use crate::access::Actions;
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const NOW_SECONDS: u64 = NOW.0 / 1000;

fn key() -> SigningKey {
    SigningKey::generate(UnixMillis(NOW.0 - 1)).unwrap()
}

fn tokens_of(key: &SigningKey) -> Tokens {
    Tokens::new("store-1".into(), "strata".into(), 3600, Keyring::new(vec![key.clone()]))
}

fn holder() -> Holder {
    Holder { account: "ann".into(), key: "SK1".into() }
}

fn pull() -> Vec<Access> {
    vec![Access::repository("a/b", Actions::PULL)]
}

fn seconds_later(seconds: i64) -> UnixMillis {
    UnixMillis(NOW.0.saturating_add_signed(seconds * 1000))
}

/// The claims of a good token, for one to be changed.
fn claims() -> Value {
    json!({
        "iss": "store-1", "sub": "ann", "aud": "strata", "exp": NOW_SECONDS + 3600, "nbf": NOW_SECONDS, "iat": NOW_SECONDS, "jti": "x",
        "key": "SK1", "access": [{"type": "repository", "name": "a/b", "actions": ["pull"]}],
    })
}

fn signed(key: &SigningKey, claims: &Value) -> String {
    jsonwebtoken::encode(key.header(), claims, key.signs()).unwrap()
}

#[test]
fn a_token_says_what_was_signed() {
    let tokens = tokens_of(&key());
    for (holder, access) in [(Some(holder()), pull()), (Some(holder()), vec![]), (None, pull())] {
        let signed = tokens.sign(holder.as_ref(), &access, NOW).unwrap();
        assert_eq!(signed.life, 3600);
        assert!(tokens.recall(&signed.text, NOW).is_none(), "what was never verified is not known");
        for _ in 0..2 {
            let read = tokens.verify(&signed.text, NOW).unwrap();
            assert_eq!((&read.holder, &*read.access), (&holder, &*access));
        }
        assert!(tokens.recall(&signed.text, NOW).is_some());
        assert!(!format!("{signed:?} {tokens:?}").contains(&signed.text[..40]));
    }
    let (one, two) = (tokens.sign(None, &[], NOW).unwrap(), tokens.sign(None, &[], NOW).unwrap());
    assert_ne!(one.text, two.text);
}

#[test]
fn no_token_lives_longer_than_the_limit() {
    let key = key();
    let ring = || Keyring::new(vec![key.clone()]);
    for (asked, given) in
        [(u64::MAX, LIFE_SECONDS_MAX), (LIFE_SECONDS_MAX + 1, LIFE_SECONDS_MAX), (1, LIFE_SECONDS_MIN)]
    {
        let tokens = Tokens::new("store-1".into(), "strata".into(), asked, ring());
        let token = tokens.sign(None, &[], NOW).unwrap();
        assert_eq!(token.life, given);
        let last = i64::try_from(given + LEEWAY_SECONDS).unwrap();
        assert!(tokens.verify(&token.text, seconds_later(last - 1)).is_ok());
        assert_eq!(tokens.verify(&token.text, seconds_later(last)).unwrap_err(), TokenError::Expired);
    }
    // Not even one that was signed to do so.
    let mut claims = claims();
    claims["exp"] = json!(NOW_SECONDS + LIFE_SECONDS_MAX + 1);
    let error = tokens_of(&key).verify(&signed(&key, &claims), NOW).unwrap_err();
    assert_eq!(error, TokenError::LivesTooLong);
}

#[test]
fn a_remembered_token_ends_with_its_time_and_its_key() {
    let tokens = tokens_of(&key());
    let token = tokens.sign(Some(&holder()), &pull(), NOW).unwrap().text;
    tokens.verify(&token, NOW).unwrap();
    assert!(tokens.recall(&token, seconds_later(3600 + 59)).is_some());
    assert!(tokens.recall(&token, seconds_later(3600 + 60)).is_none());
    tokens.verify(&token, NOW).unwrap();
    assert!(tokens.recall(&token, seconds_later(-61)).is_none());
    tokens.verify(&token, NOW).unwrap();
    tokens.reload(|| Ok(Keyring::new(vec![key()]))).unwrap();
    assert!(tokens.recall(&token, NOW).is_none());
    assert_eq!(tokens.verify(&token, NOW).unwrap_err(), TokenError::KeyUnknown);
}

#[test]
fn tokens_of_the_key_before_count_for_their_time() {
    let mut old = key();
    let tokens = tokens_of(&old);
    let token = tokens.sign(Some(&holder()), &pull(), NOW).unwrap().text;
    old.retired_at = Some(NOW);
    let new = SigningKey::generate(NOW).unwrap();
    tokens.reload(|| Ok(Keyring::new(vec![old, new.clone()]))).unwrap();
    assert!(tokens.verify(&token, seconds_later(3600)).is_ok());
    let fresh = tokens.sign(None, &[], NOW).unwrap().text;
    assert_eq!(jsonwebtoken::decode_header(&fresh).unwrap().kid.as_deref(), Some(new.id()));
}

#[test]
fn claims_that_are_not_right_are_refused() {
    let key = key();
    let tokens = tokens_of(&key);
    tokens.verify(&signed(&key, &claims()), NOW).unwrap();
    for (name, value, error) in [
        ("iss", json!("store-2"), TokenError::Issuer),
        ("iss", json!(7), TokenError::Malformed),
        ("iss", Value::Null, TokenError::Malformed),
        ("aud", json!("another"), TokenError::Audience),
        ("aud", json!(["another", "third"]), TokenError::Audience),
        ("aud", json!([]), TokenError::Audience),
        ("aud", Value::Null, TokenError::Malformed),
        ("exp", json!(NOW_SECONDS - 60), TokenError::Expired),
        ("exp", json!(0), TokenError::Expired),
        ("exp", json!(-1), TokenError::Malformed),
        ("exp", json!("later"), TokenError::Malformed),
        ("exp", json!(1e300), TokenError::Malformed),
        ("exp", Value::Null, TokenError::Malformed),
        ("exp", json!(u64::MAX), TokenError::LivesTooLong),
        ("nbf", json!(NOW_SECONDS + 61), TokenError::Early),
        ("nbf", Value::Null, TokenError::Malformed),
        ("iat", json!(NOW_SECONDS + 61), TokenError::Early),
        ("iat", Value::Null, TokenError::Malformed),
        ("sub", Value::Null, TokenError::Malformed),
        ("sub", json!(""), TokenError::Malformed),
        ("key", json!(""), TokenError::Malformed),
        ("access", json!("all"), TokenError::Malformed),
        ("access", json!([{"type": "repository"}]), TokenError::Malformed),
        ("access", json!([{"type": "other", "name": "a", "actions": ["pull"]}]), TokenError::Malformed),
        ("access", json!([{"type": "repository", "name": "a", "actions": ["own"]}]), TokenError::Malformed),
    ] {
        let mut claims = claims();
        claims[name] = value;
        if claims[name].is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
        let refused = tokens.verify(&signed(&key, &claims), NOW).unwrap_err();
        assert_eq!(refused, error, "{claims}");
    }
}

#[test]
fn texts_that_are_no_tokens_are_refused() {
    let (ours, other) = (key(), key());
    let tokens = tokens_of(&ours);
    let good = signed(&ours, &claims());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let changed = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with_header = |value: &Value| format!("{}.{payload}.{signature}", part(value));
    let hmac_with_public_key = {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(ours.id().to_owned());
        let secret = EncodingKey::from_secret(ours.id().as_bytes());
        jsonwebtoken::encode(&header, &claims(), &secret).unwrap()
    };
    let mut other_claims = claims();
    other_claims["sub"] = json!("admin");
    let as_ours_by_another = {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(ours.id().to_owned());
        jsonwebtoken::encode(&header, &claims(), other.signs()).unwrap()
    };
    for (text, error) in [
        (String::new(), TokenError::Malformed),
        ("x".into(), TokenError::Malformed),
        ("..".into(), TokenError::Malformed),
        ("a.b.c".into(), TokenError::Malformed),
        ("\u{e4}.\u{e4}.\u{e4}".into(), TokenError::Malformed),
        (head.to_owned(), TokenError::Malformed),
        (format!("{head}."), TokenError::Signature),
        (format!("{good}."), TokenError::Malformed),
        (format!("{good}.x"), TokenError::Malformed),
        (format!("{head}.{changed}"), TokenError::Signature),
        (format!("{header}.{}.{signature}", part(&other_claims)), TokenError::Signature),
        (with_header(&json!({"alg": "EdDSA", "kid": ours.id(), "x": 1})), TokenError::Signature),
        (with_header(&json!({"alg": "EdDSA", "kid": other.id()})), TokenError::KeyUnknown),
        (with_header(&json!({"alg": "EdDSA"})), TokenError::KeyUnknown),
        (with_header(&json!({"alg": "HS256", "kid": ours.id()})), TokenError::Algorithm),
        (hmac_with_public_key, TokenError::Algorithm),
        (signed(&other, &claims()), TokenError::KeyUnknown),
        (as_ours_by_another, TokenError::Signature),
        ("x".repeat(TOKEN_BYTES_MAX + 1), TokenError::TooLong),
        (format!("{}.{}.{}", "A".repeat(4000), "A".repeat(4000), "A".repeat(4000)), TokenError::Malformed),
    ] {
        assert_eq!(tokens.verify(&text, NOW).unwrap_err(), error, "{text:.200}");
    }
    for alg in ["none", "None", "", "eddsa", "RS256x"] {
        let text = with_header(&json!({"alg": alg, "kid": ours.id()}));
        assert!(tokens.verify(&text, NOW).is_err(), "{alg}");
        let bare = format!("{}.{payload}.", part(&json!({"alg": alg, "kid": ours.id()})));
        assert!(tokens.verify(&bare, NOW).is_err(), "{alg}");
    }
    for cut in 0..good.len() {
        assert!(tokens.verify(&good[..cut], NOW).is_err(), "cut at {cut}");
    }
    tokens.verify(&good, NOW).unwrap();
}

#[test]
fn what_is_remembered_is_bounded() {
    let tokens = tokens_of(&key());
    for _ in 0..200 {
        let access: Vec<Access> =
            (0..60).map(|i| Access::repository(format!("a/b{i}"), Actions::PULL)).collect();
        let token = tokens.sign(Some(&holder()), &access, NOW).unwrap().text;
        assert!(token.len() < TOKEN_BYTES_MAX);
        tokens.verify(&token, NOW).unwrap();
    }
    assert!(tokens.known.weight() <= KNOWN_BYTES_MAX);
    assert!(tokens.known.len() > 100);
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(eyJ[a-zA-Z0-9_=-]{0,40}|[a-zA-Z0-9_.=-]{0,40}|.{0,20}){0,4}") {
        let tokens = Tokens::new("store-1".into(), "strata".into(), 3600, Keyring::default());
        prop_assert!(tokens.verify(&text, NOW).is_err());
    }
}
