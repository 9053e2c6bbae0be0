//! Keys and rows of the metadata, as a damaged store could hold them: no panic, and a key that is read is written the same.

use strata_engine::meta::key::Key;
use strata_engine::meta::record::decode_row;

pub(super) fn run(data: &[u8]) {
    let Some((key_len, rest)) = data.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(*key_len).min(rest.len()));
    if let Ok(decoded) = Key::decode(key) {
        assert_eq!(decoded.encode().as_ref(), key);
        // Corrupt values are errors, never panics.
        drop(decode_row(&decoded, value.to_vec().into()));
    }
}
