//! The form of the endpoint of tokens: no panic, and one value where one is asked for.

use strata_frontend_http::form::Form;

pub(super) fn run(data: &[u8]) {
    let form = Form::new(data);
    for name in [
        "grant_type",
        "username",
        "password",
        "refresh_token",
        "scope",
        "service",
        "access_type",
        "offline_token",
    ] {
        let values: Vec<_> = form.all(name).collect();
        match form.one(name) {
            Ok(None) => assert!(values.len() <= 1 && values.iter().all(|value| value.is_empty())),
            Ok(Some(value)) => assert_eq!(values, [value]),
            Err(said) => assert!(said == name && values.len() > 1),
        }
    }
}
