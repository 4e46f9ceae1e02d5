//! The breaker of one deployment: `(state, event, now) -> state`, and nothing else.
//!
//! In: who wants to call, how calls ended, `now` as the time since some fixed instant. Out: the next
//! [`Breaker`], and an [`Admission`]. States: closed (traffic flows, failures count), open (nobody
//! calls), half-open (one probe at a time), ramping (a growing share calls), closed again.
//! Invariant: nobody is admitted while it is open; at most one probe is under way; a call that began
//! before it last opened is no news, except for a pause that its provider asks for. Not here: clock,
//! locks, randomness.

use std::time::Duration;

use crate::domain::FailureClass;

/// So many failures in a row open it: one or two are within what retries and fallback mend.
const FAILURES_IN_ROW: u32 = 5;
/// How many of the last calls are kept.
const WINDOW: u32 = 20;
/// Fewer calls than this are no sample.
const SAMPLE_MIN: u32 = 10;
/// So many failures that waiting does not mend, with no answer between them, open one that ever
/// answered, and first for a short time only: a proxy's stray 404 shall not take a model away for ten
/// minutes, and a key that was mended is found soon.
const LASTING_IN_ROW: u32 = 3;
/// The longest pause that a provider is granted (`failure.md`).
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// A probe that was not reported by then never will be: above the first attempt's 15 s, and short
/// enough that a recovered deployment is back within 30 s.
const PROBE_MAX: Duration = Duration::from_secs(20);
/// The least share of traffic while it ramps, so that a ramp has calls to judge by.
const SHARE_MIN: f64 = 0.1;

/// How long breakers stay open, and how fast traffic comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// The first time it opens for counted failures; doubles each time until traffic is full again.
    pub open_min: Duration,
    /// The longest for counted failures.
    pub open_max: Duration,
    /// After a rate limit without Retry-After.
    pub limited: Duration,
    /// From the first call that succeeds to full traffic.
    pub ramp: Duration,
}

impl Default for BreakerSettings {
    /// 2 s to 15 s, and a ramp of 5 s: a deployment that recovers is back within 20 s, and within
    /// the 30 s wanted of us whenever the next request comes.
    fn default() -> Self {
        Self {
            open_min: Duration::from_secs(2),
            open_max: Duration::from_secs(15),
            limited: Duration::from_secs(2),
            ramp: Duration::from_secs(5),
        }
    }
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Go,
    /// Yes, as the one that finds out; it is to be reported.
    Probe,
    /// No, until then.
    Shut {
        /// When a probe is let through.
        until: Duration,
    },
    /// Not now: another call is finding out.
    Probed,
    /// Not this one: only a share of the traffic is let through so far. Who has no other choice may
    /// ask again with a draw of 0.
    Ramped,
}

/// What a call says of the deployment's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Answered,
    /// One failure more.
    Counts(FailureClass),
    /// It is to be left alone for so long.
    Opens(FailureClass, Duration),
    /// The same, by what waiting does not mend: a wrong key, a missing model. Of one that answers
    /// other calls it takes several to be believed.
    Lasts(FailureClass, Duration),
    /// Nothing: whoever called left, or nothing was called. A probe is given back.
    Nothing,
}

/// A call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// When it began: not before it was admitted.
    pub began: Duration,
    /// What it says.
    pub verdict: Verdict,
}

/// A state's name, and until when it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Traffic flows.
    Closed,
    /// Nobody calls until then.
    Open(Duration),
    /// The next call finds out.
    Due,
    /// A call is finding out; its verdict, or then.
    Probing(Duration),
    /// A share of traffic flows, all of it then.
    Ramping(Duration),
}

/// The breaker of one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    state: State,
    /// When the state began.
    since: Duration,
    /// When it last opened; calls that began before are no news.
    opened: Duration,
    /// How often it opened for counted failures since traffic was last full.
    times: u32,
    /// How often it opened for what waiting does not mend, with no answer between.
    lasted: u32,
    /// What opened it last.
    why: Option<FailureClass>,
    /// Whether it ever answered.
    answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed(Tally),
    Open {
        until: Duration,
    },
    HalfOpen {
        /// When the probe under way began.
        probe: Option<Duration>,
    },
    Ramping(Tally),
}

impl Default for State {
    fn default() -> Self {
        Self::Closed(Tally::default())
    }
}

/// The last calls: failures as ones, the latest in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    failed: u32,
    calls: u32,
    in_row: u32,
    /// Failures that waiting does not mend, since the last answer.
    lasting: u32,
}

impl Tally {
    fn with(self, failed: u32) -> Self {
        Self {
            failed: ((self.failed << 1) | failed) & ((1 << WINDOW) - 1),
            calls: (self.calls + 1).min(WINDOW),
            in_row: (self.in_row + failed) * failed,
            lasting: self.lasting * failed,
        }
    }

    /// With one more failure that waiting does not mend.
    fn with_lasting(self) -> Self {
        Self { lasting: self.lasting + 1, ..self.with(1) }
    }

    fn is_too_much(self) -> bool {
        let half = self.calls >= SAMPLE_MIN && self.failed.count_ones() * 2 >= self.calls;
        half || self.in_row >= FAILURES_IN_ROW
    }
}

impl Breaker {
    /// Whether a call may be made now. `draw`, in 0..1, decides while it ramps.
    pub fn admit(self, draw: f64, now: Duration, settings: &BreakerSettings) -> (Self, Admission) {
        let probing = Self { state: State::HalfOpen { probe: Some(now) }, since: now, ..self };
        let it = self.settled(now, settings);
        match it.state {
            State::Closed(_) => (it, Admission::Go),
            State::Open { until } if now < until => (it, Admission::Shut { until }),
            State::HalfOpen { probe: Some(began) } if now < began + PROBE_MAX => {
                (it, Admission::Probed)
            }
            State::Open { .. } | State::HalfOpen { .. } => (probing, Admission::Probe),
            State::Ramping(_) if draw < it.share(now, settings) => (it, Admission::Go),
            State::Ramping(_) => (it, Admission::Ramped),
        }
    }

    /// Takes in how a call ended.
    #[must_use]
    pub fn report(self, told: Told, now: Duration, settings: &BreakerSettings) -> Self {
        let it = self.settled(now, settings);
        let it = match told.verdict {
            Verdict::Answered => Self { answered: true, lasted: 0, ..it },
            Verdict::Counts(_) | Verdict::Opens(..) | Verdict::Lasts(..) | Verdict::Nothing => it,
        };
        if told.began < it.opened {
            return it.extended(told.verdict, now);
        }
        match (it.state, told.verdict) {
            (State::Open { .. }, verdict) => it.extended(verdict, now),
            (_, Verdict::Opens(why, pause)) => it.open(why, pause.min(PAUSE_MAX), now),
            (_, Verdict::Lasts(why, pause)) if !it.answered => {
                it.open(why, pause.min(PAUSE_MAX), now)
            }
            (State::Closed(tally), Verdict::Lasts(..)) if tally.lasting + 1 < LASTING_IN_ROW => {
                Self { state: State::Closed(tally.with_lasting()), ..it }
            }
            (State::Ramping(tally), Verdict::Lasts(..)) if tally.lasting + 1 < LASTING_IN_ROW => {
                Self { state: State::Ramping(tally.with_lasting()), ..it }
            }
            (_, Verdict::Lasts(why, pause)) => {
                let doubled = doubled(settings.open_min, it.lasted);
                let open = it.open(why, doubled.min(pause).min(PAUSE_MAX), now);
                Self { lasted: it.lasted.saturating_add(1), ..open }
            }
            (State::Closed(tally), Verdict::Answered) => {
                Self { state: State::Closed(tally.with(0)), ..it }
            }
            (State::Ramping(tally), Verdict::Answered) => {
                Self { state: State::Ramping(tally.with(0)), ..it }
            }
            (State::Closed(tally) | State::Ramping(tally), Verdict::Counts(why))
                if tally.with(1).is_too_much() =>
            {
                it.open_again(why, now, settings)
            }
            (State::Closed(tally), Verdict::Counts(_)) => {
                Self { state: State::Closed(tally.with(1)), ..it }
            }
            (State::Ramping(tally), Verdict::Counts(_)) => {
                Self { state: State::Ramping(tally.with(1)), ..it }
            }
            (State::HalfOpen { .. }, Verdict::Answered) => {
                Self { state: State::Ramping(Tally::default()), since: now, ..it }
            }
            (State::HalfOpen { .. }, Verdict::Counts(why)) => it.open_again(why, now, settings),
            // Since it opened only probes began; an earlier one, given up, is not this one.
            (State::HalfOpen { probe }, Verdict::Nothing)
                if probe.is_some_and(|it| it <= told.began) =>
            {
                Self { state: State::HalfOpen { probe: None }, ..it }
            }
            (State::HalfOpen { .. } | State::Closed(_) | State::Ramping(_), Verdict::Nothing) => it,
        }
    }

    /// Where it stands.
    pub fn phase(self, now: Duration, settings: &BreakerSettings) -> Phase {
        let it = self.settled(now, settings);
        match it.state {
            State::Closed(_) => Phase::Closed,
            State::Open { until } if now < until => Phase::Open(until),
            State::HalfOpen { probe: Some(began) } if now < began + PROBE_MAX => {
                Phase::Probing(began + PROBE_MAX)
            }
            State::Open { .. } | State::HalfOpen { .. } => Phase::Due,
            State::Ramping(_) => Phase::Ramping(it.since + settings.ramp),
        }
    }

    /// When its state began.
    pub fn since(self, now: Duration, settings: &BreakerSettings) -> Duration {
        self.settled(now, settings).since
    }

    /// What opened it, until traffic is full again.
    pub fn why(self, now: Duration, settings: &BreakerSettings) -> Option<FailureClass> {
        self.settled(now, settings).why
    }

    /// A ramp that is over is a closed breaker.
    fn settled(self, now: Duration, settings: &BreakerSettings) -> Self {
        let full = self.since + settings.ramp;
        match self.state {
            State::Ramping(tally) if now >= full => {
                let state = State::Closed(tally);
                Self { state, since: full, times: 0, why: None, ..self }
            }
            State::Closed(_) | State::Open { .. } | State::HalfOpen { .. } | State::Ramping(_) => {
                self
            }
        }
    }

    fn share(self, now: Duration, settings: &BreakerSettings) -> f64 {
        let past = now.saturating_sub(self.since).as_secs_f64();
        (past / settings.ramp.as_secs_f64()).max(SHARE_MIN)
    }

    /// Open for counted failures: twice as long as the last time.
    fn open_again(self, why: FailureClass, now: Duration, settings: &BreakerSettings) -> Self {
        let doubled = doubled(settings.open_min, self.times);
        let open = self.open(why, doubled.min(settings.open_max), now);
        Self { times: self.times.saturating_add(1), ..open }
    }

    fn open(self, why: FailureClass, pause: Duration, now: Duration) -> Self {
        let state = State::Open { until: now + pause };
        Self { state, since: now, opened: now, why: Some(why), ..self }
    }

    /// An open one hears only of longer pauses.
    fn extended(self, verdict: Verdict, now: Duration) -> Self {
        match (self.state, verdict) {
            // Of one that answers, a stray failure is no news while it is open.
            (State::Open { .. }, Verdict::Lasts(..)) if self.answered => self,
            (State::Open { until }, Verdict::Opens(why, pause) | Verdict::Lasts(why, pause)) => {
                let longer = now + pause.min(PAUSE_MAX);
                if longer <= until {
                    return self;
                }
                Self { state: State::Open { until: longer }, why: Some(why), ..self }
            }
            _ => self,
        }
    }
}

/// A pause that was doubled so often.
fn doubled(pause: Duration, times: u32) -> Duration {
    // 2^16 of anything above zero is past every sensible ceiling.
    pause.saturating_mul(1 << times.min(16))
}
