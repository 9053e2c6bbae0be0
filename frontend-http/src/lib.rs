//! frontend-http
