//! A receiver as a `Stream`, for programs that await: by the feature `stream`.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use futures_core::{Stream, stream::FusedStream};

use super::Receiver;
use crate::{Message, RecvError};

/// What a [`Receiver`] receives, as a stream; see [`Receiver::into_stream`].
#[derive(Debug)]
#[must_use = "a stream receives nothing unless it is awaited"]
pub struct IntoStream<T> {
    from: Receiver<T>,
    over: bool,
}

impl<T: Message> Receiver<T> {
    /// What it receives as a `futures_core::Stream`, which ends at the clean end, and after an error.
    ///
    /// A type of its own, since one that were an iterator too would have two methods of each name.
    pub fn into_stream(self) -> IntoStream<T> {
        IntoStream { from: self, over: false }
    }
}

impl<T: Message> Stream for IntoStream<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let item = ready!(self.from.poll_recv(task)).transpose();
        self.over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl<T: Message> FusedStream for IntoStream<T> {
    fn is_terminated(&self) -> bool {
        self.over
    }
}
