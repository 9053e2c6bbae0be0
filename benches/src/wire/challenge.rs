//! A server's demand for a bearer token, and where to get one.

/// What `WWW-Authenticate: Bearer …` said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

impl Challenge {
    /// Reads the header. `None` for other schemes, and without a realm.
    pub(super) fn parse(header: &str) -> Option<Challenge> {
        let (scheme, mut rest) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        // The values are quoted and hold commas of their own, as in `pull,push`.
        while let Some((name, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"')?;
            match name.trim_matches([',', ' ']).to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                "scope" => scope = Some(value.to_owned()),
                _ => {}
            }
            rest = after;
        }
        Some(Challenge { realm: realm?, service, scope })
    }

    /// The path and query that give the token, on the server itself: the token service of what is measured is its own.
    pub(super) fn path(&self) -> String {
        let mut path = super::head::path_of(&self.realm).to_owned();
        let mut joint = if path.contains('?') { '&' } else { '?' };
        for (name, value) in [("service", &self.service), ("scope", &self.scope)] {
            if let Some(value) = value {
                path.push(joint);
                path.extend([name, "=", &value.replace(' ', "%20")]);
                joint = '&';
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_leads_to_its_token() {
        let challenge = Challenge::parse(
            r#"Bearer realm="http://h:5000/token",service="s",scope="repository:a/b:pull,push""#,
        )
        .unwrap();
        assert_eq!(challenge.path(), "/token?service=s&scope=repository:a/b:pull,push");
        let bare = Challenge::parse(r#"bearer realm="/token?a=b""#).unwrap();
        assert_eq!(bare.path(), "/token?a=b");
        let service = Challenge::parse(r#"Bearer realm="/token?a=b", service="x y""#).unwrap();
        assert_eq!(service.path(), "/token?a=b&service=x%20y");
    }

    #[test]
    fn other_schemes_are_not_ours() {
        for header in [r#"Basic realm="x""#, "Bearer", r#"Bearer service="x""#, r#"Bearer realm="x"#] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
    }
}
