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
    for framing in
        ["\ncontent-length", "\ntransfer-encoding", "\nupgrade", "\nexpect", "\nauthorization", "\nrange"]
    {
        assert!(!lower.windows(framing.len()).any(|window| window == framing.as_bytes()));
    }
    assert_eq!(parse(head), Some((request, len)), "what follows a head does not change it");
}
