//! The ranges of RFC 9110 and of the conformance suite, as tables; then what must hold for any bytes.

use super::*;
use proptest::prelude::*;

fn check(value: &str, size: u64, expected: &Selection) {
    assert_eq!(&select(value.as_bytes(), size), expected, "{value:?} of {size}");
}

#[test]
fn single_ranges() {
    for (value, range) in [
        ("bytes=500-1499", 500..1500),
        ("bytes=500-", 500..2048),
        ("bytes=-500", 1548..2048),
        ("bytes=2000-5000", 2000..2048),
        ("bytes=0-0", 0..1),
        ("bytes=-9999", 0..2048),
        ("Bytes=0-9", 0..10),
        (" bytes=0-9 ", 0..10),
        ("bytes= 0-9 ,", 0..10),
        ("bytes=2047-18446744073709551615", 2047..2048),
        ("bytes=2047-99999999999999999999999", 2047..2048),
        ("bytes=0-1,9000-", 0..2),
    ] {
        check(value, 2048, &Selection::One(range));
    }
}

#[test]
fn ranges_without_a_byte_are_unsatisfiable() {
    for value in [
        "bytes=5000-10000",
        "bytes=2048-",
        "bytes=500-0",
        "bytes=-0",
        "bytes=99999999999999999999999-",
        "bytes=9000-,9001-",
    ] {
        check(value, 2048, &Selection::Unsatisfiable);
    }
}

#[test]
fn garbage_is_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1-2",
        "bytes=0",
        "bytes=+0-1",
        "bytes=0-x",
        "items=0-1",
        "bytes 0-1",
        "bytes=0-1;2-3",
        "bytes=0-1,x",
        "bytes=1 - 2",
        "bytes=--1",
    ] {
        check(value, 2048, &Selection::Whole);
    }
    assert_eq!(select(b"bytes=\xff-", 2048), Selection::Whole);
}

#[test]
fn an_empty_blob_is_sent_whole() {
    for value in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
        check(value, 0, &Selection::Whole);
    }
}

#[test]
fn many_ranges_keep_their_order_and_never_overlap() {
    check("bytes=0-0,10-19", 2048, &Selection::Many(vec![0..1, 10..20]));
    check("bytes=10-19,0-0", 2048, &Selection::Many(vec![10..20, 0..1]));
    check("bytes=0-9,10-19", 2048, &Selection::Many(vec![0..10, 10..20]));
    check("bytes=0-9,5-19", 2048, &Selection::One(0..20));
    check("bytes=30-39,0-9,5-19", 2048, &Selection::Many(vec![0..20, 30..40]));
    check("bytes=0-,0-,0-,0-", 2048, &Selection::One(0..2048));
    check("bytes=0-0,-1", 2048, &Selection::Many(vec![0..1, 2047..2048]));
}

#[test]
fn too_many_ranges_are_ignored() {
    let list = |count: u64| {
        let specs: Vec<String> = (0..count).map(|i| format!("{}-{}", i * 10, i * 10)).collect();
        format!("bytes={}", specs.join(","))
    };
    let most = u64::try_from(PARTS_MAX).unwrap();
    match select(list(most).as_bytes(), 1 << 20) {
        Selection::Many(ranges) => assert_eq!(ranges.len(), PARTS_MAX),
        other => panic!("{other:?}"),
    }
    check(&list(most + 1), 1 << 20, &Selection::Whole);
}

/// Whatever is chosen lies within the blob, is not empty, and is in sum not larger than the blob.
fn assert_sound(selection: &Selection, size: u64) {
    let ranges = match selection {
        Selection::Whole | Selection::Unsatisfiable => return,
        Selection::One(range) => std::slice::from_ref(range),
        Selection::Many(ranges) => ranges,
    };
    assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size), "{ranges:?} of {size}");
    assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= size, "{ranges:?} of {size}");
}

proptest! {
    #[test]
    fn any_bytes_are_answered(value in proptest::collection::vec(any::<u8>(), 0..80), size in any::<u64>()) {
        assert_sound(&select(&value, size), size);
    }

    #[test]
    fn any_list_is_answered(text in "bytes=[0-9,\\- ]{0,60}", size in 0_u64..3000) {
        assert_sound(&select(text.as_bytes(), size), size);
    }
}
