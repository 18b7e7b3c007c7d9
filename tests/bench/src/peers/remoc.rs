//! remoc over a Unix socket between two processes, each on one thread.

use std::{os::unix::net::UnixStream, sync::Arc};

use anyhow::{Result, anyhow};
use futures::{StreamExt as _, stream};
use remoc::{
    codec,
    rtc::{self, CallError, ServerShared as _},
};
use tokio::runtime::Runtime;

use super::tarpc::{runtime, tokio_stream};
use crate::{harness::seconds, limits, role::Role};

#[rtc::remote]
trait Peer {
    async fn noop(&self) -> Result<(), CallError>;
}

struct Server;

impl Peer for Server {
    async fn noop(&self) -> Result<(), CallError> {
        Ok(())
    }
}

pub(crate) fn serve(socket: UnixStream) -> Result<()> {
    runtime()?.block_on(async {
        let (reader, writer) = tokio_stream(socket)?.into_split();
        let (server, client) = PeerServerShared::<_, codec::Default>::new(Arc::new(Server));
        remoc::ConnectExt::provide(remoc::Connect::io(remoc::Cfg::default(), reader, writer), client).await?;
        server.serve().await.map_err(|error| anyhow!("{error}"))?;
        Ok(())
    })
}

/// A client with its server.
pub(crate) struct Remoc {
    runtime: Runtime,
    client: PeerClient,
}

impl Remoc {
    pub(crate) fn start() -> Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // It ends with its socket.
        drop(limits::start(&Role::Remoc, theirs, None)?);
        let runtime = runtime()?;
        let client = runtime.block_on(async {
            let (reader, writer) = tokio_stream(ours)?.into_split();
            let connect = remoc::Connect::io(remoc::Cfg::default(), reader, writer);
            let client: PeerClient = remoc::ConnectExt::consume(connect).await?;
            anyhow::Ok(client)
        })?;
        Ok(Self { runtime, client })
    }

    /// Microseconds a call, one after the other.
    pub(crate) fn round_trips(&self, n: usize) -> Result<f64> {
        let all = seconds(|| {
            self.runtime.block_on(async {
                for _ in 0..n {
                    self.client.noop().await?;
                }
                Ok(())
            })
        })?;
        Ok(all * 1e6 / n as f64)
    }

    /// Calls a second with so many in flight.
    pub(crate) fn calls(&self, n: usize, in_flight: usize) -> Result<f64> {
        let calls = stream::iter(0..n).map(|_| self.client.noop()).buffer_unordered(in_flight);
        let all = seconds(|| {
            self.runtime.block_on(calls.for_each(|result| async move { drop(result) }));
            Ok(())
        })?;
        Ok(n as f64 / all)
    }
}
