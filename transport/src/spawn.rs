//! The one place where this crate starts tasks: accept loops, connections, streams of HTTP/2 connections.
//!
//! A task owns what it needs, ends by itself when its connection ends, and is told to by `drain`. Nobody waits for its value.

use hyper::rt::Executor;
use std::future::Future;
use tokio::task::AbortHandle;

/// Starts a task.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

/// Starts a task that ends when the returned value is dropped.
pub fn spawn_scoped(task: impl Future<Output = ()> + Send + 'static) -> Scoped {
    Scoped(tokio::spawn(task).abort_handle())
}

/// Ends its task on drop.
#[derive(Debug)]
pub struct Scoped(AbortHandle);

impl Drop for Scoped {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts the streams of an HTTP/2 connection as tasks. A stream's task ends with its stream: hyper resets both together.
#[derive(Debug, Clone, Copy)]
pub struct StreamExecutor;

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        spawn(stream);
    }
}
