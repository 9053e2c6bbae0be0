//! The stream against a real socket.
