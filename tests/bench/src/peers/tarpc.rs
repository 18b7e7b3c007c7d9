//! tarpc over a Unix socket between two processes, each on one thread.

use std::os::unix::net::UnixStream;

use anyhow::Result;
use futures::{StreamExt as _, stream};
use serde_bytes::ByteBuf;
use tarpc::{
    client, context, serde_transport,
    server::{self, Channel as _},
};
use tokio::runtime::{Builder, Runtime};
use tokio_serde::formats::Bincode;
use tokio_util::codec::LengthDelimitedCodec;

use crate::{harness::seconds, limits, limits::Way, role::Role};

/// How many messages of bulk are on their way at once: it has no streams.
const BULK_IN_FLIGHT: usize = 8;

#[tarpc::service]
trait Peer {
    async fn noop();
    async fn sink(data: ByteBuf) -> u64;
    async fn source(size: u64) -> ByteBuf;
}

#[derive(Clone)]
struct Server;

impl Peer for Server {
    async fn noop(self, _: context::Context) {}

    async fn sink(self, _: context::Context, data: ByteBuf) -> u64 {
        data.len() as u64
    }

    async fn source(self, _: context::Context, size: u64) -> ByteBuf {
        ByteBuf::from(vec![1; size as usize])
    }
}

pub(crate) fn serve(socket: UnixStream) -> Result<()> {
    runtime()?.block_on(async {
        let framed = LengthDelimitedCodec::builder().new_framed(tokio_stream(socket)?);
        let transport = serde_transport::new(framed, Bincode::default());
        let answers = server::BaseChannel::with_defaults(transport).execute(Server.serve());
        answers.for_each(|answer| async move { drop(tokio::spawn(answer)) }).await;
        Ok(())
    })
}

/// A client with its server.
pub(crate) struct Tarpc {
    runtime: Runtime,
    client: PeerClient,
}

impl Tarpc {
    pub(crate) fn start() -> Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // It ends with its socket.
        drop(limits::start(&Role::Tarpc, theirs, None)?);
        let runtime = runtime()?;
        let client = runtime.block_on(async {
            let framed = LengthDelimitedCodec::builder().new_framed(tokio_stream(ours)?);
            let transport = serde_transport::new(framed, Bincode::default());
            let mut config = client::Config::default();
            config.pending_request_buffer = 1024;
            config.max_in_flight_requests = 4096;
            anyhow::Ok(PeerClient::new(config, transport).spawn())
        })?;
        Ok(Self { runtime, client })
    }

    /// Microseconds a call, one after the other.
    pub(crate) fn round_trips(&self, n: usize) -> Result<f64> {
        let all = seconds(|| {
            self.runtime.block_on(async {
                for _ in 0..n {
                    self.client.noop(context::current()).await?;
                }
                Ok(())
            })
        })?;
        Ok(all * 1e6 / n as f64)
    }

    /// Calls a second with so many in flight.
    pub(crate) fn calls(&self, n: usize, in_flight: usize) -> Result<f64> {
        let calls =
            stream::iter(0..n).map(|_| self.client.noop(context::current())).buffer_unordered(in_flight);
        let all = seconds(|| {
            self.runtime.block_on(calls.for_each(|result| async move { drop(result) }));
            Ok(())
        })?;
        Ok(n as f64 / all)
    }

    /// Megabytes a second in messages of `size` bytes.
    pub(crate) fn megabytes(&self, way: Way, bytes: usize, size: usize) -> Result<f64> {
        let sent = async |_: usize| -> Result<()> {
            let now = context::current();
            match way {
                Way::Up => drop(self.client.source(now, size as u64).await?),
                Way::Down => drop(self.client.sink(now, ByteBuf::from(vec![1; size])).await?),
            }
            Ok(())
        };
        let all = seconds(|| {
            let mut messages = stream::iter(0..bytes / size).map(sent).buffer_unordered(BULK_IN_FLIGHT);
            self.runtime.block_on(async {
                while let Some(message) = messages.next().await {
                    message?;
                }
                Ok(())
            })
        })?;
        Ok(bytes as f64 / 1e6 / all)
    }
}

pub(super) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

pub(super) fn tokio_stream(socket: UnixStream) -> Result<tokio::net::UnixStream> {
    socket.set_nonblocking(true)?;
    Ok(tokio::net::UnixStream::from_std(socket)?)
}
