//! Path and query to a route: no panic, and no name or reference that a proxy in front could read otherwise.

use strata_frontend_http::query::Query;
use strata_frontend_http::route::Route;

pub(super) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    if let Ok(route) = Route::parse(path) {
        for part in [route.name(), route.last()] {
            assert!(!part.split('/').any(|segment| segment == "." || segment == ".."), "{part}");
        }
        assert!(!route.last().contains('/'));
        assert!(route.name().is_empty() || !route.name().split('/').any(str::is_empty));
        assert!(!route.endpoint.template().is_empty());
    }
    let query = Query::new(query);
    for key in ["digest", "mount", "from", "tag", "n", "last", "artifactType"] {
        assert_eq!(query.get(key), query.all(key).next());
    }
}
