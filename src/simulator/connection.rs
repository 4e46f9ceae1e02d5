//! Connections that a handler can reset: the only way to fail a call before its headers.
//!
//! In: a bound TCP listener. Out: connections, each with a [`ResetSwitch`] that handlers get by
//! `ConnectInfo`. Invariant: after the switch is thrown nothing more is read or written, and the
//! peer sees a TCP reset (`SO_LINGER` of zero), not an orderly end.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Open connections at a time; more wait in the kernel's backlog. Far above a load test's need,
/// below the usual limit on file descriptors.
const CONNECTIONS_MAX: usize = 2_048;

/// Resets one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    /// From now on every read and write fails, and closing resets.
    pub(super) fn throw(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.is_thrown() { Err(ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    fn is_thrown(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A listener whose connections can be reset.
pub(super) struct ResettableListener {
    inner: TcpListener,
    free: Arc<Semaphore>,
}

impl ResettableListener {
    pub(super) fn new(inner: TcpListener) -> Self {
        Self { inner, free: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl axum::serve::Listener for ResettableListener {
    type Io = ResettableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (ResettableStream, SocketAddr) {
        // The semaphore is never closed, so there always is a permit to wait for.
        let permit = self.free.clone().acquire_owned().await.ok();
        let (inner, peer) = axum::serve::Listener::accept(&mut self.inner).await;
        // Pieces go out as they are made; a connection that refuses is only slower.
        let _ = inner.set_nodelay(true);
        (ResettableStream { inner, switch: ResetSwitch::default(), _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that can be reset.
pub(super) struct ResettableStream {
    inner: TcpStream,
    switch: ResetSwitch,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connected<IncomingStream<'_, ResettableListener>> for ResetSwitch {
    fn connect_info(stream: IncomingStream<'_, ResettableListener>) -> Self {
        stream.io().switch.clone()
    }
}

impl AsyncRead for ResettableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.switch.check()?;
        Pin::new(&mut self.inner).poll_read(context, into)
    }
}

impl AsyncWrite for ResettableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.switch.check()?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.check()?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.check()?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl Drop for ResettableStream {
    fn drop(&mut self) {
        if self.switch.is_thrown() {
            // Should it fail, the peer sees an orderly close instead: still no answer.
            let _ = self.inner.set_zero_linger();
        }
    }
}
