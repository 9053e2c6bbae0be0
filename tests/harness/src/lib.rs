//! Starts the real binary and speaks to it over sockets.
