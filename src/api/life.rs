//! What a server is doing: taking work, about to leave, stopping, over.
//!
//! In: one teller. Out: any number of [`Life`]s that know. Invariant: a server only gets older; when
//! the teller is gone without a word, it is over. Not here: when each begins (see the commands).

use tokio::sync::watch;

/// What a server is doing, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes work.
    Serving,
    /// It takes work, and says that it soon will not, so that nobody new is sent here.
    Leaving,
    /// It takes no new connections; what is under way goes on.
    Stopping,
    /// Everything has ended.
    Over,
}

/// Knows the phase.
#[derive(Debug, Clone)]
pub struct Life(watch::Receiver<Phase>);

/// Tells the phase.
#[derive(Debug)]
pub struct LifeTeller(watch::Sender<Phase>);

impl Life {
    /// A server that takes work.
    pub fn begin() -> (LifeTeller, Self) {
        let (teller, life) = watch::channel(Phase::Serving);
        (LifeTeller(teller), Self(life))
    }

    /// Whether new work is wanted here.
    pub fn is_ready(&self) -> bool {
        *self.0.borrow() == Phase::Serving
    }

    /// Ends when this phase is reached, or a later one.
    pub async fn reached(mut self, phase: Phase) {
        // An error means that nobody is left to say so.
        let _ = self.0.wait_for(|it| *it >= phase).await;
    }
}

impl LifeTeller {
    /// Goes on to this phase; never back.
    pub fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|it| {
            let later = phase > *it;
            *it = phase.max(*it);
            later
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_only_gets_older() {
        let (teller, life) = Life::begin();
        assert!(life.is_ready());
        life.clone().reached(Phase::Serving).await;
        teller.enter(Phase::Stopping);
        teller.enter(Phase::Leaving);
        assert!(!life.is_ready());
        life.clone().reached(Phase::Stopping).await;
        drop(teller);
        life.reached(Phase::Over).await;
    }
}
