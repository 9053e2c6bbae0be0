//! The messages of an answer on their way out: counted, and ended when the client no longer waits or the server stops.

use crate::log::CallLog;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use strata_transport::activity::InFlight;
use tonic::{Code, Status};

/// Something that ends an answer before its end, with this status.
pub(crate) type Ending = Pin<Box<dyn Future<Output = Status> + Send>>;

/// What a client gets.
pub(crate) struct ResponseBody {
    /// `None` once it has ended early.
    body: Option<tonic::body::Body>,
    ending: Option<Ending>,
    log: Arc<CallLog>,
    _in_flight: InFlight,
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").field("body", &self.body).finish_non_exhaustive()
    }
}

impl ResponseBody {
    pub(crate) fn new(
        body: tonic::body::Body,
        ending: Option<Ending>,
        log: Arc<CallLog>,
        in_flight: InFlight,
    ) -> Self {
        Self { body: Some(body), ending, log, _in_flight: in_flight }
    }
}

/// What these fields, at the beginning or the end of an answer, say to the client.
pub(crate) fn note_code(log: &CallLog, fields: &HeaderMap) {
    if let Some(status) = fields.get("grpc-status") {
        log.answered(Code::from_bytes(status.as_bytes()));
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Some(ending) = &mut this.ending
            && let Poll::Ready(status) = ending.as_mut().poll(cx)
        {
            // Whatever was still to be sent, and what it holds, is gone from here on.
            (this.body, this.ending) = (None, None);
            let mut fields = HeaderMap::new();
            // Cannot fail: the message is plain text.
            let _ = status.add_header(&mut fields);
            this.log.answered(status.code());
            return Poll::Ready(Some(Ok(Frame::trailers(fields))));
        }
        let frame = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            if let Some(bytes) = frame.data_ref() {
                this.log.sent(bytes.len() as u64);
            } else if let Some(fields) = frame.trailers_ref() {
                note_code(&this.log, fields);
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
