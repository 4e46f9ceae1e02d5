//! The queue with its owner in the test's own hands.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

const LONG: Duration = Duration::from_secs(3_600);

fn request(text: &str) -> ChatRequest {
    ChatRequest::from_prompt(text)
}

fn queue() -> (EncoderQueue, Owner) {
    let (queue, owner) =
        EncoderQueue::unstarted(Arc::new(Encoder::shipped().expect("shipped")), &[0, 3]);
    (queue, owner.expect("a deep exit"))
}

/// Goes as far as it can without waiting.
fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn done<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> T {
    match poll(future) {
        Poll::Ready(it) => it,
        Poll::Pending => panic!("it still waits"),
    }
}

#[test]
fn a_batch_gives_each_his_own_bits() {
    let (queue, mut owner) = queue();
    let texts = ["Why is the sky blue?", "Sort 3, 1, 2.", "", &"long ".repeat(400)];
    let requests = texts.map(request);
    let mut waiting: Vec<_> = requests.iter().map(|it| Box::pin(queue.deep(it, LONG))).collect();
    assert!(waiting.iter_mut().all(|it| poll(it.as_mut()).is_pending()));
    assert!(queue.load.tokens() > 500);
    assert!(owner.turn());
    assert_eq!(queue.load.tokens(), 0);
    for (request, waiting) in requests.iter().zip(&mut waiting) {
        let alone = queue.encoder.encode(request, Exit::Last).expect("encoded");
        assert_eq!(alone.exit, 3);
        assert_eq!(done(waiting.as_mut()), Some(alone));
    }
}

#[test]
fn what_is_known_is_not_read_again() {
    let (queue, mut owner) = queue();
    let asked = request("What is a fugue?");
    let first = {
        let mut first = pin!(queue.deep(&asked, LONG));
        let mut second = pin!(queue.deep(&asked, LONG));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        assert_eq!(owner.jobs.len(), 1, "equal prompts under way are read once");
        assert!(owner.turn());
        let first = done(first);
        assert_eq!(first, done(second));
        first
    };
    // Known, so there is always time.
    assert_eq!(done(pin!(queue.deep(&asked, Duration::ZERO))), first);
    assert_eq!(queue.deep_blocking(&asked, Duration::ZERO), first);
    assert_eq!(first, queue.encoder.encode(&asked, Exit::Last).ok());
    // The exits are kept apart, and so are system prompts.
    assert_eq!(queue.shallow(&asked).ok(), queue.encoder.encode(&asked, Exit::First).ok());
    assert_eq!(queue.shallow(&asked).ok(), queue.encoder.encode(&asked, Exit::First).ok());
    assert_eq!(queue.cache.len(), 2);
}

#[test]
fn a_cached_reading_still_counts_the_whole_request() {
    let (queue, _owner) = queue();
    let short = request("Go on.");
    let mut long = request(&"Tell me of the sea. ".repeat(100));
    long.messages.extend(short.messages.clone());
    let (short, long) = (queue.shallow(&short).expect("read"), queue.shallow(&long).expect("read"));
    assert_eq!(short.embedding, long.embedding);
    assert_eq!(queue.cache.len(), 1);
    assert!(long.tokens > short.tokens + 300, "{} {}", short.tokens, long.tokens);
}

#[test]
fn who_left_is_skipped_and_the_next_reads() {
    let (queue, mut owner) = queue();
    let asked = request("Name three rivers.");
    {
        let mut left = Box::pin(queue.deep(&asked, LONG));
        let mut stays = pin!(queue.deep(&asked, LONG));
        assert!(poll(left.as_mut()).is_pending() && poll(stays.as_mut()).is_pending());
        drop(left);
        assert!(poll(stays.as_mut()).is_pending(), "now it is his turn to ask");
        assert_eq!(owner.jobs.len(), 2);
        assert!(owner.turn());
        assert!(done(stays).is_some());
    }
    let lonely = request("Nobody waits for this.");
    let mut left = Box::pin(queue.deep(&lonely, LONG));
    assert!(poll(left.as_mut()).is_pending());
    drop(left);
    assert!(owner.turn());
    assert_eq!((queue.cache.len(), queue.load.tokens()), (1, 0));
}

#[test]
fn without_time_or_room_the_first_exit_is_left() {
    let (queue, owner) = queue();
    let asked = request("Too late?");
    assert_eq!(done(pin!(queue.deep(&asked, Duration::ZERO))), None);
    assert_eq!(queue.deep_blocking(&asked, Duration::ZERO), None);
    let many: Vec<_> = (0..QUEUE_MAX).map(|it| request(&format!("number {it}"))).collect();
    let mut waiting: Vec<_> = many.iter().map(|it| Box::pin(queue.deep(it, LONG))).collect();
    assert!(waiting.iter_mut().all(|it| poll(it.as_mut()).is_pending()));
    let before = queue.load.tokens();
    assert_eq!(done(pin!(queue.deep(&asked, LONG))), None);
    assert_eq!(queue.load.tokens(), before);
    assert_eq!(queue.shallow(&asked).expect("read").exit, 0);
    drop(owner);
    assert!(waiting.iter_mut().all(|it| done(it.as_mut()).is_none()), "an owner that ended");
}

#[test]
fn only_known_exits_are_taken() {
    let encoder = || Encoder::shipped().expect("shipped");
    assert!(EncoderQueue::unstarted(Arc::new(encoder()), &[0]).1.is_none());
    assert!(EncoderQueue::unstarted(Arc::new(encoder()), &[0, 2]).1.is_none());
    let queue = EncoderQueue::start(encoder(), &[0]);
    assert_eq!(done(pin!(queue.deep(&request("hello"), LONG))), None);
}

#[test]
fn a_thread_reads_until_the_queue_is_dropped() {
    let (queue, mut owner) = queue();
    let thread = std::thread::spawn(move || while owner.turn() {});
    let asked = request("How long is a day on Venus?");
    let read = queue.deep_blocking(&asked, LONG);
    assert_eq!(read, queue.encoder.encode(&asked, Exit::Last).ok());
    drop(queue);
    thread.join().expect("it ended");
}
