//! The heads that are answered before hyper sees them: no panic, and what is taken is one whole head of a plain path, without a body.

use strata_frontend_http::lane::parse;

pub(super) fn run(data: &[u8]) {
    let Some((request, len)) = parse(data) else { return };
    let (head, _) = data.split_at(len);
    assert!(
        head.ends_with(b"\n")
            && request.target.starts_with("/v2/")
            && !request.target.contains(['?', '%', ' '])
    );
    let lower = head.to_ascii_lowercase();
    let count = |field: &str| lower.windows(field.len()).filter(|window| *window == field.as_bytes()).count();
    for framing in ["\ncontent-length", "\ntransfer-encoding", "\nupgrade", "\nexpect", "\nrange"] {
        assert_eq!(count(framing), 0, "{framing}");
    }
    assert!(
        count("\nauthorization:") <= 1 && request.authorization.is_some() == (count("\nauthorization:") == 1)
    );
    assert_eq!(parse(head), Some((request, len)), "what follows a head does not change it");
}
