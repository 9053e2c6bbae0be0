//! Frames of a segment, as a damaged one could hold them: no panic, and what is served is what was stored.

use bytes::Bytes;
use strata_engine::meta::digest::digest_of;
use strata_engine::sim::{frame_of, frame_payload};
use strata_types::Algorithm;

pub(super) fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let algorithm = if choice & 1 == 0 { Algorithm::Sha256 } else { Algorithm::Sha512 };
    // As it comes: nothing may be read from it that its own header and row do not say.
    let (content, damage) = rest.split_at(rest.len() / 2);
    let digest = digest_of(algorithm, content);
    let (frame, checksum) = frame_of(&digest, content);
    let size = content.len() as u64;
    if let Ok(found) = frame_payload(&Bytes::copy_from_slice(rest), &digest, size, checksum) {
        assert_eq!(found, content, "only the blob itself is served");
    }
    assert_eq!(frame_payload(&frame.clone().into(), &digest, size, checksum).as_deref(), Ok(content));
    // Damaged at places that the input names.
    let mut damaged = frame.clone();
    for place in damage.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([place[0], place[1]])) % damaged.len();
        damaged[at] ^= place[2];
    }
    if choice & 2 != 0 {
        damaged.truncate(damage.len());
    }
    let outcome = frame_payload(&damaged.clone().into(), &digest, size, checksum);
    assert_eq!(outcome.is_ok(), damaged == frame, "damage is seen, and only damage");
}
