//! The artifacts that decide, and how another one takes their place while requests are under way.
//!
//! In: folders ([`ArtifactPlaces`]). Out: the [`Lineup`] of this moment. Invariant: another artifact is
//! loaded and checked beside the one that serves, away from the threads that serve, and then swapped
//! in at one stroke; one that is refused changes nothing but the status. One loading at a time. Not
//! here: whether it ought to serve (see `pointsman-train promote`).

mod brain;
mod lineup;
mod shadow;
mod status;
mod watch;

use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::encoder::Encoder;
pub(crate) use brain::Brain;
pub use brain::Unfit;
use lineup::Canary;
pub(crate) use lineup::{Draw, Lineup};
use shadow::Shadow;
pub(crate) use shadow::{Opinion, Pending};
pub use status::{ArtifactPlaces, ArtifactsStatus, Loaded, Refused, Slot, SlotStatus};
use watch::{Look, Watched};

/// How often folders are looked at: a look costs microseconds, and whoever promotes an artifact waits
/// two of them.
pub const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How often a loading is tried while its folder changes under it.
const LOADS_MAX: usize = 3;

/// There is no artifact from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is nothing to roll back to: no other artifact was served before this one")]
pub struct NothingBefore;

/// The artifacts of a server.
pub struct Artifacts {
    places: ArtifactPlaces,
    /// Held for as long as it takes to clone or to put one pointer.
    state: RwLock<State>,
    /// Held by whoever loads.
    desk: Arc<Mutex<Desk>>,
    /// Told who serves, at once and after every swap.
    serving: OnceLock<Serving>,
}

type Serving = Box<dyn Fn(&Brain) + Send + Sync>;

struct State {
    lineup: Arc<Lineup>,
    previous: Option<Arc<Brain>>,
    rolled_back: Option<String>,
    refused: [Option<Refused>; 3],
}

/// The folders as they were when last loaded, by slot.
struct Desk([Option<Watched>; 3]);

impl Artifacts {
    /// Loads everything.
    ///
    /// # Errors
    /// [`Refused`]. One on trial that is the served artifact itself, by its version, is only left out:
    /// so it is after a promotion.
    pub fn open(places: ArtifactPlaces) -> Result<Self, Refused> {
        let desk = Desk(Slot::ALL.map(|it| places.path(it).map(|it| Watched::new(Look::at(it)))));
        let served = Brain::open(&places, None);
        let served = served.map_err(|it| Refused::new(Slot::Served, places.served.clone(), &it))?;
        let lineup = Lineup { served: Arc::new(served), shadow: None, canary: None };
        let (previous, rolled_back, refused) = (None, None, [None, None, None]);
        let state = State { lineup: Arc::new(lineup), previous, rolled_back, refused };
        let (state, desk) = (RwLock::new(state), Arc::new(Mutex::new(desk)));
        let artifacts = Self { places, state, desk, serving: OnceLock::new() };
        for slot in [Slot::Shadow, Slot::Canary] {
            artifacts.load(slot).map(drop).or_else(Refused::unless_promoted)?;
        }
        Ok(artifacts)
    }

    /// Who decides now.
    pub(crate) fn now(&self) -> Arc<Lineup> {
        Arc::clone(&self.state().lineup)
    }

    /// The version that serves now.
    pub fn version(&self) -> String {
        self.now().served.version().to_owned()
    }

    /// Loads again whatever is in the folders; whether anything is another than before.
    ///
    /// # Errors
    /// Every [`Refused`]; what was not refused has been taken all the same. One on trial that is the
    /// served artifact itself is only left out.
    pub async fn reload(self: &Arc<Self>) -> Result<bool, Vec<Refused>> {
        let (mut changed, mut refused) = (false, Vec::new());
        let results = self.at_desk(|it, desk| {
            let slots = Slot::ALL.into_iter().filter(|slot| it.places.path(*slot).is_some());
            slots.map(|slot| it.load_settled(slot, desk)).collect::<Vec<_>>()
        });
        for result in results.await.unwrap_or_default() {
            match result {
                Ok(it) => changed |= it,
                Err(it) => refused.extend(it.unless_promoted().err()),
            }
        }
        if refused.is_empty() { Ok(changed) } else { Err(refused) }
    }

    /// Puts back the artifact that served before; it stays until a folder changes or somebody asks for
    /// a reload. One step: what it takes the place of is not kept.
    ///
    /// # Errors
    /// [`NothingBefore`].
    pub async fn rollback(self: &Arc<Self>) -> Result<(), NothingBefore> {
        let done = self.at_desk(|it, _| it.roll_back()).await;
        done.unwrap_or(Err(NothingBefore))
    }

    /// The encoder that reads for whoever serves now.
    pub fn encoder(&self) -> Arc<Encoder> {
        Arc::clone(self.now().served.encoder())
    }

    /// Has somebody told who serves, now and after every swap, on the thread that swaps. The first who
    /// asks is the only one.
    pub(crate) fn on_serving(&self, tell: impl Fn(&Brain) + Send + Sync + 'static) {
        let _ = self.serving.set(Box::new(tell));
        self.tell_serving();
    }

    fn tell_serving(&self) {
        if let Some(tell) = self.serving.get() {
            tell(&self.now().served);
        }
    }

    /// How everything stands.
    pub fn status(&self) -> ArtifactsStatus {
        let state = self.state();
        let lineup = &state.lineup;
        let slot = |slot: Slot, now: Option<&Brain>| SlotStatus {
            now: now.map(Loaded::of),
            path: self.places.path(slot).map(Path::to_owned),
            refused: state.refused[slot as usize].clone(),
        };
        ArtifactsStatus {
            served: slot(Slot::Served, Some(&lineup.served)),
            shadow: slot(Slot::Shadow, lineup.shadow.as_ref().map(|it| &*it.brain)),
            shadow_missed: lineup.shadow.as_ref().map_or(0, |it| it.missed()),
            canary: slot(Slot::Canary, lineup.canary.as_ref().map(|it| &*it.brain)),
            canary_share: self.places.canary.as_ref().map(|(_, share)| *share),
            previous: state.previous.as_deref().map(Loaded::of),
            rolled_back: state.rolled_back.clone(),
        }
    }

    /// Looks at the folders every so often, and loads what has changed, until nobody holds the
    /// artifacts any more.
    pub async fn watch(held: Weak<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let Some(artifacts) = held.upgrade() else { return };
            // Errors were logged; they are told by the status.
            let _ = artifacts.at_desk(Self::look).await;
        }
    }

    fn look(&self, desk: &mut Desk) {
        for slot in Slot::ALL {
            let Some(path) = self.places.path(slot) else { continue };
            let due = desk.0[slot as usize].as_mut().is_some_and(|it| it.look(Look::at(path)));
            if due {
                let _ = self.load_settled(slot, desk);
            }
        }
    }

    /// Works with files, one at a time, on a thread where that may take its time. Goes on to its end
    /// when the caller leaves.
    async fn at_desk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &mut Desk) -> T + Send + 'static,
    ) -> Option<T> {
        let mut desk = Arc::clone(&self.desk).lock_owned().await;
        let artifacts = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&artifacts, &mut desk)).await;
        if let Err(error) = &done {
            tracing::error!(%error, "loading an artifact was interrupted");
        }
        done.ok()
    }

    /// Loads what is in a folder, again when it changed in the meantime.
    fn load_settled(&self, slot: Slot, desk: &mut Desk) -> Result<bool, Refused> {
        let Some(path) = self.places.path(slot) else { return Ok(false) };
        let mut done = Ok(false);
        for _ in 0..LOADS_MAX {
            let before = Look::at(path);
            done = self.load(slot);
            let settled = Look::at(path) == before;
            desk.0[slot as usize] = Some(Watched::new(before));
            if done.is_ok() || settled {
                break;
            }
        }
        done
    }

    /// Loads what is in a folder, and puts it in its slot; whether it is another than before.
    fn load(&self, slot: Slot) -> Result<bool, Refused> {
        let Some(path) = self.places.path(slot) else { return Ok(false) };
        let served = Arc::clone(&self.now().served);
        let loaded = match slot {
            Slot::Served => Brain::open(&self.places, Some(&served)),
            Slot::Shadow | Slot::Canary => Brain::beside(path, &served),
        };
        match loaded {
            Ok(brain) => Ok(self.put(slot, Arc::new(brain))),
            Err(why) => {
                let refused = Refused::new(slot, Some(path.to_owned()), &why);
                let (reason, still) = (refused.reason, self.version());
                match refused.clone().unless_promoted() {
                    Ok(()) => tracing::info!(%slot, served = still, "left out: it is what serves"),
                    Err(_) => tracing::error!(%slot, path = %path.display(), reason, error = %why,
                        served = still, "an artifact is refused; what served before goes on"),
                }
                self.state_mut().refused[slot as usize] = Some(refused.clone());
                Err(refused)
            }
        }
    }

    fn put(&self, slot: Slot, brain: Arc<Brain>) -> bool {
        let now = self.now();
        self.state_mut().refused[slot as usize] = None;
        let same = match slot {
            Slot::Served => now.served.is(&brain),
            Slot::Shadow => now.shadow.as_ref().is_some_and(|it| it.brain.is(&brain)),
            Slot::Canary => now.canary.as_ref().is_some_and(|it| it.brain.is(&brain)),
        };
        if same {
            return false;
        }
        tracing::info!(%slot, version = brain.version(), served_before = now.served.version(),
            "an artifact is loaded");
        match slot {
            Slot::Served => {
                self.serve(brain, Some(Arc::clone(&now.served)), None);
            }
            Slot::Shadow => {
                let shadow = Some(Arc::new(Shadow::start(brain)));
                self.state_mut().lineup = Arc::new(Lineup { shadow, ..Lineup::clone(&now) });
            }
            Slot::Canary => {
                let share = self.places.canary.as_ref().map(|(_, share)| *share);
                let canary = share.map(|share| Canary { brain, share });
                self.state_mut().lineup = Arc::new(Lineup { canary, ..Lineup::clone(&now) });
            }
        }
        true
    }

    /// Lets another serve; then those on trial that do not fit beside it are looked at again.
    fn serve(&self, brain: Arc<Brain>, previous: Option<Arc<Brain>>, rolled_back: Option<String>) {
        let next = self.now().around(brain);
        let empty = [(Slot::Shadow, next.shadow.is_none()), (Slot::Canary, next.canary.is_none())];
        {
            let mut state = self.state_mut();
            (state.previous, state.rolled_back) = (previous, rolled_back);
            state.lineup = Arc::new(next);
        }
        for (slot, _) in empty.into_iter().filter(|(_, empty)| *empty) {
            // Logged, and told by the status.
            let _ = self.load(slot);
        }
        self.tell_serving();
    }

    fn roll_back(&self) -> Result<(), NothingBefore> {
        let before = self.state_mut().previous.take().ok_or(NothingBefore)?;
        let from = self.version();
        tracing::warn!(from, to = before.version(), "the served artifact is rolled back");
        self.serve(before, None, Some(from));
        Ok(())
    }

    /// Whole after every step, so a thread that panicked while holding it did no harm; as below.
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArtifactPlaces {
    /// The folder of a slot.
    fn path(&self, slot: Slot) -> Option<&Path> {
        match slot {
            Slot::Served => self.served.as_deref(),
            Slot::Shadow => self.shadow.as_deref(),
            Slot::Canary => self.canary.as_ref().map(|(path, _)| path.as_path()),
        }
    }

    /// The same without those on trial.
    pub fn served_only(self) -> Self {
        Self { shadow: None, canary: None, ..self }
    }
}
