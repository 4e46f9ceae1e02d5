//! Limits on spending: who is let through, and what is left afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

use super::*;

const DAY_MS: u64 = 86_400_000;

fn usd(amount: f64) -> Usd {
    Usd::new(amount).unwrap()
}

fn limits(day: Option<f64>, month: Option<f64>) -> SpendLimits {
    SpendLimits { per_day: day.map(usd), per_month: month.map(usd) }
}

/// A ledger whose clock is turned by hand.
fn ledger(spent: &[Spent]) -> (Arc<Ledger>, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(0));
    let hand = Arc::clone(&now);
    let clock: WallClock = Arc::new(move || hand.load(Ordering::Relaxed));
    let (wake, _) = sync_channel(1);
    (Arc::new(Ledger::new(spent, clock, wake)), now)
}

fn purse(ledger: &Arc<Ledger>, key: &str, own: SpendLimits, team: SpendLimits) -> Purse {
    let claims = vec![((Payer::Key, key.to_owned()), own), ((Payer::Team, "t".to_owned()), team)];
    Purse::new(ledger, claims)
}

fn refused(purse: &Purse, most: f64) -> Option<(Payer, Window, bool)> {
    purse.reserve(usd(most)).err().map(|it| (it.payer, it.window, it.held))
}

#[test]
fn what_is_reserved_counts_until_it_is_settled() {
    let (ledger, _) = ledger(&[]);
    let purse = purse(&ledger, "a", limits(Some(1.0), None), SpendLimits::default());
    let first = purse.reserve(usd(0.6)).unwrap();
    assert_eq!(refused(&purse, 0.5), Some((Payer::Key, Window::Day, true)));
    first.settle(usd(0.1));
    let second = purse.reserve(usd(0.9)).unwrap();
    drop(second);
    purse.reserve(usd(0.9)).unwrap().settle(usd(0.9));
    assert_eq!(refused(&purse, 1e-12), Some((Payer::Key, Window::Day, false)));
    assert_eq!(refused(&purse, 0.0), None);
}

#[test]
fn a_team_shares_its_limit_and_a_refused_call_reserves_nothing() {
    let (ledger, _) = ledger(&[]);
    let team = limits(None, Some(1.0));
    let [a, b] = ["a", "b"].map(|it| purse(&ledger, it, limits(Some(0.8), None), team));
    a.reserve(usd(0.7)).unwrap().settle(usd(0.7));
    assert_eq!(refused(&b, 0.4), Some((Payer::Team, Window::Month, false)));
    // Had that reserved anything of the key's own, this would not fit.
    assert_eq!(refused(&b, 0.3), None);
    // Both are broken: the month ends last.
    assert_eq!(refused(&a, 0.5), Some((Payer::Team, Window::Month, false)));
}

#[test]
fn days_and_months_begin_anew() {
    let (ledger, now) = ledger(&[]);
    let purse = purse(&ledger, "a", limits(Some(1.0), Some(1.5)), SpendLimits::default());
    purse.reserve(usd(1.0)).unwrap().settle(usd(1.0));
    let told = purse.reserve(usd(0.4)).unwrap_err();
    assert_eq!((told.window, told.resets_in), (Window::Day, Duration::from_millis(DAY_MS)));
    now.store(DAY_MS, Ordering::Relaxed);
    purse.reserve(usd(0.4)).unwrap().settle(usd(0.4));
    let told = purse.reserve(usd(0.4)).unwrap_err();
    assert_eq!((told.window, told.resets_in), (Window::Month, Duration::from_millis(30 * DAY_MS)));
    now.store(31 * DAY_MS, Ordering::Relaxed);
    purse.reserve(usd(1.0)).unwrap().settle(usd(1.0));
}

#[test]
fn a_restart_begins_with_what_was_written() {
    let account = (Payer::Key, "a".to_owned());
    let of = |day, amount| Spent { account: account.clone(), day, amount: usd(amount) };
    let now: WallClock = Arc::new(|| 33 * DAY_MS);
    let (wake, _) = sync_channel(1);
    // Of the month before, of this one, of today.
    let spent = [of(30, 50.0), of(32, 2.0), of(33, 0.25)];
    let ledger = Arc::new(Ledger::new(&spent, now, wake));
    let check = |day: f64, month: f64, wanted: Option<Window>| {
        let purse = purse(&ledger, "a", limits(Some(day), Some(month)), SpendLimits::default());
        assert_eq!(refused(&purse, 0.75).map(|it| it.1), wanted, "{day} {month}");
    };
    check(1.0, 3.0, None);
    check(0.99, 3.0, Some(Window::Day));
    check(1.0, 2.99, Some(Window::Month));
}

#[test]
fn what_was_settled_is_written_once_and_again_when_that_failed() {
    let (ledger, _) = ledger(&[]);
    let purse = purse(&ledger, "a", SpendLimits::default(), SpendLimits::default());
    for _ in 0..2 {
        purse.reserve(usd(1.0)).unwrap().settle(usd(0.25));
    }
    let (taken, settled) = ledger.take_unwritten();
    let amounts: Vec<_> = taken.iter().map(|it| (it.account.0, it.amount)).collect();
    assert_eq!(amounts, [(Payer::Key, usd(0.5)), (Payer::Team, usd(0.5))]);
    assert_eq!((settled, ledger.take_unwritten().0), (2, vec![]));
    ledger.put_back(taken.clone());
    assert_eq!(ledger.take_unwritten().0, taken);
}

#[test]
fn two_hundred_threads_race_for_the_last_dollar_and_none_of_it_is_spent_twice() {
    let (ledger, _) = ledger(&[]);
    let purse = purse(&ledger, "a", limits(Some(1.0), None), SpendLimits::default());
    let paid = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                for _ in 0..5 {
                    if let Ok(held) = purse.reserve(usd(0.02)) {
                        std::thread::yield_now();
                        held.settle(usd(0.015));
                        paid.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let spent = Usd::from_picousd(paid.load(Ordering::Relaxed) * usd(0.015).picousd());
    assert_eq!(purse.standing(), (spent, Usd::ZERO));
    assert!(spent <= usd(1.0), "{spent}");
    // What is left can still be spent, down to less than one call's most.
    while let Ok(held) = purse.reserve(usd(0.02)) {
        held.settle(usd(0.015));
    }
    let left = usd(1.0).less(purse.standing().0);
    assert!(left < usd(0.02), "{left}");
}
