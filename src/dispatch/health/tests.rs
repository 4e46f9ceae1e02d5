//! The breaker's laws, by tables and by anything that can happen in any order.

use proptest::prelude::*;

use super::*;

const SETTINGS: BreakerSettings = BreakerSettings {
    open_min: Duration::from_secs(2),
    open_max: Duration::from_secs(15),
    limited: Duration::from_secs(2),
    ramp: Duration::from_secs(5),
};
const ILL: Verdict = Verdict::Counts(FailureClass::Overloaded);

fn seconds(it: u64) -> Duration {
    Duration::from_secs(it)
}

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

/// Calls that began and ended at once.
fn after(breaker: Breaker, verdicts: &[Verdict], now: Duration) -> Breaker {
    verdicts.iter().fold(breaker, |it, verdict| {
        it.report(Told { began: now, verdict: *verdict }, now, &SETTINGS)
    })
}

fn admitted(breaker: Breaker, now: Duration) -> (Breaker, Admission) {
    breaker.admit(0.0, now, &SETTINGS)
}

/// The breaker, open for counted failures since `now`.
fn open_since(now: Duration) -> Breaker {
    after(Breaker::default(), &[ILL; 5], now)
}

/// Probes at the given time, with this verdict a second later.
fn probed(breaker: Breaker, now: Duration, verdict: Verdict) -> Breaker {
    let (it, admission) = admitted(breaker, now);
    assert_eq!(admission, Admission::Probe);
    it.report(Told { began: now, verdict }, now + seconds(1), &SETTINGS)
}

#[test]
fn what_waiting_does_not_mend_is_believed_at_once_of_one_that_never_answered() {
    let wrong = Verdict::Lasts(FailureClass::ModelMissing, seconds(600));
    let (ok, ill) = (Verdict::Answered, ILL);
    let check = |verdicts: &[Verdict], opens: Option<u64>| {
        let breaker = after(Breaker::default(), verdicts, seconds(1));
        let wanted = opens.map_or(Phase::Closed, |it| Phase::Open(seconds(1 + it)));
        assert_eq!(breaker.phase(seconds(1), &SETTINGS), wanted, "{verdicts:?}");
    };
    check(&[wrong], Some(600));
    check(&[ill, wrong], Some(600));
    check(&[ok, wrong], None);
    check(&[ok, wrong, wrong], None);
    check(&[ok, wrong, wrong, wrong], Some(2));
    check(&[ok, wrong, wrong, ok, wrong, wrong], None);
    check(&[ok, wrong, ill, wrong, wrong], Some(2));
    // Each probe that finds the same doubles the pause, beyond what counted failures are given.
    let mut breaker = after(Breaker::default(), &[ok, wrong, wrong, wrong], seconds(1));
    let (mut now, mut pauses) = (1, Vec::new());
    for _ in 0..10 {
        now += 1_000;
        breaker = probed(breaker, seconds(now), wrong);
        let Phase::Open(until) = breaker.phase(seconds(now + 1), &SETTINGS) else { panic!() };
        pauses.push(until.as_secs() - now - 1);
    }
    assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
    // Nor does a stray one make a pause longer that others have caused.
    let open = after(after(Breaker::default(), &[ok], seconds(1)), &[ill; 5], seconds(1));
    assert_eq!(after(open, &[wrong; 9], seconds(2)), open);
}

#[test]
fn it_opens_after_five_in_a_row_or_half_of_ten_to_twenty() {
    let (ok, ill) = (Verdict::Answered, ILL);
    let check = |verdicts: &[Verdict], opens: bool| {
        let breaker = after(Breaker::default(), verdicts, seconds(1));
        let is_open = matches!(breaker.phase(seconds(1), &SETTINGS), Phase::Open(_));
        assert_eq!(is_open, opens, "{verdicts:?}");
    };
    check(&[ill; 4], false);
    check(&[ill; 5], true);
    check(&[ill, ill, ill, ill, ok, ill, ill, ill, ill], false);
    check(&[ok, ill, ok, ill, ok, ill, ok, ill, ok, ill], true);
    check(&[ok, ill, ok, ill, ok, ok, ok, ill, ok, ill], false);
    let old: Vec<_> = [[ok; 20].as_slice(), &[ill, ok].repeat(8), &[ill]].concat();
    check(&old, false);
    check(&[old, vec![ok, ill]].concat(), true);
    check(&[Verdict::Nothing; 30], false);
}

#[test]
fn open_times_double_up_to_the_longest_and_start_anew_after_a_ramp() {
    let (mut it, mut now, mut seen) = (open_since(seconds(1)), seconds(1), vec![]);
    for _ in 0..6 {
        let Phase::Open(until) = it.phase(now, &SETTINGS) else { panic!("not open") };
        seen.push((until - now).as_secs());
        assert_eq!(admitted(it, until - ms(1)).1, Admission::Shut { until });
        it = probed(it, until, ILL);
        now = until + seconds(1);
    }
    assert_eq!(seen, [2, 4, 8, 15, 15, 15]);
    let Phase::Open(until) = it.phase(now, &SETTINGS) else { panic!("not open") };
    it = probed(it, until, Verdict::Answered);
    now = until + seconds(6);
    assert_eq!(it.phase(now, &SETTINGS), Phase::Closed);
    assert_eq!((it.why(now, &SETTINGS), it.since(now, &SETTINGS)), (None, now));
    assert_eq!(after(it, &[ILL; 5], now).phase(now, &SETTINGS), Phase::Open(now + seconds(2)));
}

#[test]
fn one_probe_at_a_time_and_a_lost_one_expires() {
    let (it, first) = admitted(open_since(seconds(0)), seconds(2));
    assert_eq!(first, Admission::Probe);
    let (it, second) = admitted(it, seconds(3));
    assert_eq!(second, Admission::Probed);
    let (it, third) = admitted(it, seconds(22));
    assert_eq!(third, Admission::Probe, "the first was never reported");
    // It comes at last, and tells nothing: the other is still under way.
    let it =
        it.report(Told { began: seconds(2), verdict: Verdict::Nothing }, seconds(23), &SETTINGS);
    assert_eq!(admitted(it, seconds(23)).1, Admission::Probed);
    let given_back =
        it.report(Told { began: seconds(22), verdict: Verdict::Nothing }, seconds(23), &SETTINGS);
    assert_eq!(admitted(given_back, seconds(23)).1, Admission::Probe);
}

#[test]
fn traffic_comes_back_step_by_step() {
    let it = probed(open_since(seconds(0)), seconds(2), Verdict::Answered);
    let check = |draw: f64, at_ms: u64, wanted: Admission| {
        assert_eq!(it.admit(draw, ms(at_ms), &SETTINGS).1, wanted, "{draw} {at_ms}");
    };
    check(0.09, 3_000, Admission::Go);
    check(0.11, 3_000, Admission::Ramped);
    check(0.49, 5_500, Admission::Go);
    check(0.51, 5_500, Admission::Ramped);
    check(0.99, 8_000, Admission::Go);
}

#[test]
fn pauses_that_are_asked_for_are_kept_and_bounded() {
    let check = |verdict: Verdict, for_s: u64| {
        let it = after(Breaker::default(), &[verdict], seconds(1));
        assert_eq!(it.phase(seconds(1), &SETTINGS), Phase::Open(seconds(1 + for_s)));
    };
    let limited = |pause| Verdict::Opens(FailureClass::RateLimited, seconds(pause));
    check(limited(7), 7);
    check(limited(86_400), 600);
    check(Verdict::Opens(FailureClass::Auth, seconds(60)), 60);
    // A second one under way at that time may make it longer, never shorter; failures do neither.
    let it = after(Breaker::default(), &[limited(7)], seconds(1));
    let late = |verdict| {
        let it = it.report(Told { began: seconds(0), verdict }, seconds(2), &SETTINGS);
        it.phase(seconds(2), &SETTINGS)
    };
    assert_eq!(late(limited(9)), Phase::Open(seconds(11)));
    assert_eq!(late(limited(1)), Phase::Open(seconds(8)));
    assert_eq!(late(ILL), Phase::Open(seconds(8)));
    assert_eq!(late(Verdict::Answered), Phase::Open(seconds(8)));
}

#[test]
fn what_began_before_it_opened_is_no_news() {
    let it = open_since(seconds(10));
    let (it, _) = admitted(it, seconds(12));
    let told = |verdict| Told { began: seconds(9), verdict };
    for verdict in [Verdict::Answered, ILL] {
        let phase = it.report(told(verdict), seconds(13), &SETTINGS).phase(seconds(13), &SETTINGS);
        assert_eq!(phase, it.phase(seconds(13), &SETTINGS), "{verdict:?}");
    }
}

/// Something that happens, so many milliseconds later.
#[derive(Debug, Clone, Copy)]
enum Event {
    Asks(f64),
    /// One of the calls under way ends.
    Ends(usize, Verdict),
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let class = || prop::sample::select(FailureClass::ALL.to_vec());
    let verdict = prop_oneof![
        3 => Just(Verdict::Answered),
        4 => class().prop_map(Verdict::Counts),
        1 => (class(), 0_u64..2_000).prop_map(|(class, it)| Verdict::Opens(class, seconds(it))),
        1 => (class(), 0_u64..2_000).prop_map(|(class, it)| Verdict::Lasts(class, seconds(it))),
        1 => Just(Verdict::Nothing),
    ];
    let event = prop_oneof![
        (0.0..1.0).prop_map(Event::Asks),
        (any::<usize>(), verdict).prop_map(|(at, verdict)| Event::Ends(at, verdict)),
    ];
    prop::collection::vec((0_u64..3_000, event), 1..300)
}

/// What a caller can know: calls under way (and whether as a probe), and until when all are refused.
#[derive(Default)]
struct Outside {
    under_way: Vec<(Duration, Admission)>,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_whatever_happens(events in events()) {
        let (mut it, mut now, mut outside) = (Breaker::default(), Duration::ZERO, Outside::default());
        for (later, event) in events {
            now += ms(later);
            let before = it.phase(now, &SETTINGS);
            match event {
                Event::Asks(draw) => {
                    let (next, admission) = it.admit(draw, now, &SETTINGS);
                    it = next;
                    let go = matches!(admission, Admission::Go | Admission::Probe);
                    match before {
                        Phase::Closed => prop_assert_eq!(admission, Admission::Go),
                        Phase::Open(until) => prop_assert_eq!(admission, Admission::Shut { until }),
                        Phase::Due => prop_assert_eq!(admission, Admission::Probe),
                        Phase::Probing(_) => prop_assert_eq!(admission, Admission::Probed),
                        Phase::Ramping(_) => prop_assert!(admission != Admission::Probe),
                    }
                    if admission == Admission::Probe {
                        let probe = |of: &&(Duration, Admission)| {
                            of.1 == Admission::Probe && now < of.0 + seconds(20)
                        };
                        // Of those that have not ended; a younger verdict may have ended its state.
                        let others = outside.under_way.iter().filter(probe);
                        let since = it.since(now, &SETTINGS);
                        prop_assert_eq!(since, now);
                        prop_assert!(others.count() == 0 || before == Phase::Due);
                    }
                    if go {
                        outside.under_way.push((now, admission));
                    }
                }
                Event::Ends(at, verdict) if !outside.under_way.is_empty() => {
                    let at = at % outside.under_way.len();
                    let (began, _) = outside.under_way.swap_remove(at);
                    it = it.report(Told { began, verdict }, now, &SETTINGS);
                }
                Event::Ends(..) => {}
            }
            // It always opens again for a probe, in bounded time.
            match it.phase(now, &SETTINGS) {
                Phase::Open(until) => prop_assert!(until <= now + seconds(600)),
                Phase::Probing(until) => prop_assert!(until <= now + seconds(20)),
                Phase::Ramping(until) => prop_assert!(now < until && until <= now + SETTINGS.ramp),
                Phase::Closed | Phase::Due => {}
            }
            let shut = !matches!(it.phase(now, &SETTINGS), Phase::Closed);
            prop_assert!(!shut || it.why(now, &SETTINGS).is_some(), "whoever is shut has a reason");
        }
        // Whatever happened, a deployment that works is back in full within the bounds.
        let now = now + seconds(600);
        let (it, admission) = admitted(it, now);
        prop_assert!(matches!(admission, Admission::Go | Admission::Probe));
        let it = it.report(Told { began: now, verdict: Verdict::Answered }, now, &SETTINGS);
        let full = now + SETTINGS.ramp;
        prop_assert_eq!(it.admit(1.0, full, &SETTINGS).1, Admission::Go);
    }

    #[test]
    fn counted_failures_alone_shut_it_for_15_s_at_most(
        events in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..300),
    ) {
        let (mut it, mut now) = (Breaker::default(), Duration::ZERO);
        for (later, works) in events {
            now += ms(later);
            let (next, admission) = admitted(it, now);
            it = next;
            if matches!(admission, Admission::Go | Admission::Probe) {
                let verdict = if works { Verdict::Answered } else { ILL };
                it = it.report(Told { began: now, verdict }, now, &SETTINGS);
            }
            if let Phase::Open(until) = it.phase(now, &SETTINGS) {
                prop_assert!(until <= now + SETTINGS.open_max);
            }
        }
    }
}

#[test]
fn each_class_says_what_the_table_says() {
    let health = Health::new([], SETTINGS);
    let check = |class: FailureClass, status: Option<u16>, wanted: Verdict| {
        assert_eq!(health.verdict(class, status, None, Pace::AsPredicted), wanted, "{class:?}");
    };
    use FailureClass as F;
    check(F::Overloaded, Some(503), Verdict::Counts(F::Overloaded));
    check(F::RateLimited, Some(429), Verdict::Opens(F::RateLimited, SETTINGS.limited));
    check(F::Auth, Some(401), Verdict::Lasts(F::Auth, seconds(60)));
    check(F::ModelMissing, Some(404), Verdict::Lasts(F::ModelMissing, seconds(600)));
    check(F::InvalidRequest, Some(400), Verdict::Answered);
    check(F::Unsupported, None, Verdict::Nothing);
    check(F::Cancelled, Some(200), Verdict::Nothing);
    check(F::Deadline, None, Verdict::Nothing);
    let slow = health.verdict(F::Deadline, None, None, Pace::Slow);
    assert_eq!(slow, Verdict::Counts(F::Deadline));
    let pause = health.verdict(F::RateLimited, Some(429), Some(seconds(9)), Pace::Slow);
    assert_eq!(pause, Verdict::Opens(F::RateLimited, seconds(9)));
}

#[test]
fn a_fleet_is_known_by_name_and_strangers_leave_no_trace() {
    let id = |name: &str| DeploymentId::new(name).unwrap();
    let health = Health::new([id("a@p"), id("b@p")], SETTINGS);
    let told = Told { began: seconds(1), verdict: ILL };
    for _ in 0..9 {
        health.report(&id("a@p"), told, seconds(1));
        health.report(&id("x@p"), told, seconds(1));
    }
    let shut = health.shut(seconds(1));
    let (until, class) = (seconds(3), FailureClass::Overloaded);
    assert_eq!(shut, [Shut { deployment: id("a@p"), until, class }]);
    assert_eq!(health.admit(&id("x@p"), seconds(1), 0.5), Admission::Go);
    assert_eq!(health.admit(&id("b@p"), seconds(1), 0.5), Admission::Go);
    assert_eq!(health.admit(&id("a@p"), seconds(1), 0.0), Admission::Shut { until });
    assert_eq!(health.conditions(seconds(1)).len(), 2);
    // One whose probe is under way is shut to the others, who ask again soon.
    assert_eq!(health.shut(seconds(3)), []);
    assert_eq!(health.admit(&id("a@p"), seconds(3), 0.9), Admission::Probe);
    assert_eq!(health.shut(seconds(3))[0].until, seconds(3) + PROBE_RECHECK);
}
