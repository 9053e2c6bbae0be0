//! Between the words of the service layer and those of the wire.

use crate::error::Refusal;
use crate::proto::content as v1;
use prost_types::Timestamp;
use strata_registry::{ContentInfo, IngestStatus, UnixMillis};
use strata_types::{Digest, Failure};

/// A length or an offset. None is as large as what does not fit.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A length that a client says; one that is not positive says nothing.
pub(super) fn total(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The offset of a write. There is nothing before the first byte.
pub(super) fn offset(value: i64) -> Result<u64, Refusal> {
    u64::try_from(value)
        .map_err(|_| Refusal::field(Failure::RangeInvalid, "offset", "there are no bytes before the first"))
}

/// A digest that a client may leave out.
pub(super) fn expected(text: &str) -> Result<Option<Digest>, Refusal> {
    if text.is_empty() { Ok(None) } else { crate::call::digest(text).map(Some) }
}

pub(super) fn time(at: UnixMillis) -> Timestamp {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    // Less than a thousand of a million each.
    let nanos = i32::try_from(at.0 % 1000).unwrap_or(0) * 1_000_000;
    Timestamp { seconds, nanos }
}

pub(super) fn info(found: ContentInfo) -> v1::Info {
    v1::Info {
        digest: found.digest.to_string(),
        size: signed(found.size),
        created_at: Some(time(found.created_at)),
        updated_at: Some(time(found.updated_at)),
        labels: found.labels.into_iter().collect(),
    }
}

pub(super) fn status(found: IngestStatus) -> v1::Status {
    v1::Status {
        started_at: Some(time(found.started_at)),
        updated_at: Some(time(found.updated_at)),
        r#ref: found.reference,
        offset: signed(found.offset),
        total: signed(found.total),
        expected: found.expected.map(|digest| digest.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn numbers_that_mean_nothing_say_nothing() {
        assert_eq!([total(-1), total(0), total(7), total(i64::MIN)], [0, 0, 7, 0]);
        assert_eq!([signed(7), signed(u64::MAX)], [7, i64::MAX]);
        assert_eq!(offset(0).unwrap(), 0);
        for before in [-1, i64::MIN] {
            assert_eq!(offset(before).unwrap_err().status.code(), Code::OutOfRange);
        }
    }

    #[test]
    fn times_keep_their_thousandths() {
        let at = time(UnixMillis(1_700_000_000_123));
        assert_eq!((at.seconds, at.nanos), (1_700_000_000, 123_000_000));
        assert!(time(UnixMillis(u64::MAX)).seconds > 0);
    }

    #[test]
    fn a_digest_may_be_left_out_but_not_be_another_text() {
        assert!(expected("").unwrap().is_none());
        assert!(expected(&Digest::Sha256([1; 32]).to_string()).unwrap().is_some());
        for text in ["sha256:abc", "x", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            assert_eq!(expected(text).unwrap_err().status.code(), Code::InvalidArgument, "{text}");
        }
    }
}
