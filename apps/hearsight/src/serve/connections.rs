//! Connections: a bounded number of them, with or without TLS, and none that is slow for ever.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::HEADER_TIMEOUT;
use super::access::Access;
use super::limits::{Crowd, Neighbour, OneOfCrowd};

/// The header of the longest sensible request; ours are short.
const HEADER_BYTES: usize = 32 * 1024;

/// Serves `app` on `socket` until `handle` says stop.
pub(super) async fn serve(
    socket: TcpListener,
    tls: Option<RustlsConfig>,
    limit: Limit,
    handle: Handle<SocketAddr>,
    app: Router,
) -> io::Result<()> {
    let mut server = axum_server::from_tcp(socket)?.handle(handle);
    let builder = server.http_builder();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER_TIMEOUT)
        .max_header_list_size(HEADER_BYTES as u32);
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        Some(tls) => {
            let acceptor = RustlsAcceptor::new(tls)
                .handshake_timeout(HEADER_TIMEOUT)
                .acceptor(limit);
            server.acceptor(acceptor).serve(service).await
        }
        None => server.acceptor(limit).serve(service).await,
    }
}

/// Lets at most so many connections in at a time, in all and from one address; others are closed at once.
#[derive(Clone)]
pub(super) struct Limit {
    places: Arc<Semaphore>,
    crowd: Arc<Crowd>,
    access: Arc<Access>,
}

impl Limit {
    pub(super) fn new(places: usize, access: Arc<Access>) -> Limit {
        Limit {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            crowd: Arc::default(),
            access,
        }
    }

    fn enter(&self, stream: TcpStream) -> io::Result<Counted> {
        let from = Neighbour::of(stream.peer_addr()?.ip());
        let most = self.access.rules().limits.connections_per_address;
        let too_many = || io::Error::other("too many connections");
        let one = self.crowd.enter(from, most).ok_or_else(too_many)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| too_many())?;
        stream.set_nodelay(true)?;
        Ok(Counted {
            stream,
            _place: place,
            _one: one,
        })
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Limit {
    type Stream = Counted;
    type Service = S;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Counted, S)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let entered = self.enter(stream);
        Box::pin(async move { Ok((entered?, service)) })
    }
}

/// A connection that holds its place until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    _one: OneOfCrowd,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
