//! When to stop, and how long stopping may take.
//!
//! In: signals. Out: futures. Invariant: a server that was told to stop has stopped after
//! [`DRAIN_MAX`], whatever its callers do.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

/// How long requests under way may go on: below the 30 s after which Kubernetes and others kill.
pub(super) const DRAIN_MAX: Duration = Duration::from_secs(25);

/// Ends at Ctrl-C or SIGTERM.
pub(super) async fn signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else {
            // Without the one there is still the other.
            let _ = interrupt.await;
            return;
        };
        tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
    }
    #[cfg(not(unix))]
    let _ = interrupt.await;
}

/// Ends when the other end says so, or is gone.
pub(super) async fn told(mut stopping: watch::Receiver<bool>) {
    // An error means that nobody is left to say so.
    let _ = stopping.wait_for(|it| *it).await;
}

/// Runs a server to its end, but no longer than `patience` after it was told to stop; `None` when
/// it had to be cut.
pub(super) async fn drained<T>(
    server: impl Future<Output = T>,
    stopping: watch::Receiver<bool>,
    patience: Duration,
) -> Option<T> {
    let cut = async {
        told(stopping).await;
        tokio::time::sleep(patience).await;
    };
    tokio::select! { ended = server => Some(ended), () = cut => None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn draining_ends_by_itself_or_is_cut() {
        let (tell, stopping) = watch::channel(false);
        let done = drained(told(stopping.clone()), stopping.clone(), DRAIN_MAX);
        tell.send_replace(true);
        assert_eq!(done.await, Some(()));
        assert_eq!(drained(std::future::pending::<()>(), stopping, DRAIN_MAX).await, None);
    }
}
