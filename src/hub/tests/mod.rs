//! Pulling from a hub on loopback that does what hubs and lines do.

mod folder;
mod shelf;

use std::path::PathBuf;

use secrecy::SecretString;
use tempfile::TempDir;

use super::*;
use shelf::{COMMIT, Running, WEIGHTS};

/// A hub, and a place to pull to.
struct Bench {
    running: Running,
    folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self { running: Running::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("some--encoder")
    }

    /// What is in the folder beside.
    fn part(&self, name: &str) -> PathBuf {
        self.folder.path().join("some--encoder.part").join(name)
    }

    fn order(&self) -> Order {
        let name = "some/encoder".parse().unwrap();
        Order { name, revision: "main".to_owned(), into: self.place(), sha256: None }
    }

    async fn pull(&self) -> Result<Done, HubError> {
        let hub = Hub::new(&self.running.address, None).unwrap();
        pull(&hub, &self.order(), &mut |_| {}).await
    }

    /// The pull has to be refused with these words, and nothing may be in place.
    async fn is_refused(&self, reason: &str) -> HubError {
        let error = self.pull().await.err().unwrap();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!self.place().exists());
        error
    }
}

#[tokio::test]
async fn an_encoder_is_pulled_whole_with_a_note_of_it() {
    let bench = Bench::new().await;
    let (hub, mut steps) = (Hub::new(&bench.running.address, None).unwrap(), Vec::new());
    let tell = &mut |it: Step<'_>| steps.push(format!("{it:?}"));
    let done = pull(&hub, &bench.order(), tell).await.unwrap();
    assert_eq!((done.encoder.width(), done.encoder.name()), (32, "some--encoder"));
    assert!(bench.running.is_in(&bench.place()) && !bench.part("").exists());
    assert_eq!(done.pulled.commit.as_deref(), Some(COMMIT));
    assert_eq!(Pulled::of(&bench.place()).unwrap(), done.pulled);
    assert_eq!(steps.iter().filter(|it| it.starts_with("Whole")).count(), 5, "{steps:?}");
    assert_eq!(bench.running.ranges(), [None]);
    // All of it is there: nothing is asked for but the listing.
    bench.pull().await.unwrap();
    assert_eq!(bench.running.ranges(), []);
    assert!(!bench.part("").exists());
    // A file that was spoilt is pulled again.
    std::fs::write(bench.place().join("config.json"), "{}").unwrap();
    bench.pull().await.unwrap();
    assert!(bench.running.is_in(&bench.place()));
}

#[tokio::test]
async fn a_line_that_breaks_is_taken_up_where_it_broke() {
    let bench = Bench::new().await;
    bench.running.shelf().cuts = [1_000, 0, 500].into();
    bench.pull().await.unwrap();
    let at = |from: usize| Some(format!("bytes={from}-"));
    assert_eq!(bench.running.ranges(), [None, at(1_000), at(1_000), at(1_500)]);
    assert!(bench.running.is_in(&bench.place()));
}

#[tokio::test]
async fn the_next_run_goes_on_where_this_one_ended() {
    let bench = Bench::new().await;
    bench.running.shelf().cuts = [400; 5].into();
    bench.is_refused("`model.safetensors` broke off after 2000 of").await;
    assert_eq!(std::fs::metadata(bench.part("model.safetensors.part")).unwrap().len(), 2_000);
    bench.running.ranges();
    bench.pull().await.unwrap();
    assert_eq!(bench.running.ranges(), [Some("bytes=2000-".to_owned())]);
    assert!(bench.running.is_in(&bench.place()));
}

#[tokio::test]
async fn a_file_that_changed_between_parts_starts_anew() {
    for heedless in [false, true] {
        let bench = Bench::new().await;
        bench.running.shelf().cuts = [400; 5].into();
        bench.is_refused("broke off").await;
        let other = tempfile::tempdir().unwrap();
        crate::encoder::sample::write(other.path(), 8).unwrap();
        let weights = std::fs::read(other.path().join(WEIGHTS)).unwrap();
        {
            let mut shelf = bench.running.shelf();
            shelf.files.insert(WEIGHTS.to_owned(), weights);
            shelf.heedless = heedless;
        }
        bench.pull().await.unwrap();
        assert!(bench.running.is_in(&bench.place()), "{heedless}");
    }
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_nothing_is_left_in_place() {
    let bench = Bench::new().await;
    bench.running.shelf().told_sha256 = Some("0".repeat(64));
    bench.is_refused("`model.safetensors`: SHA-256 is").await;
    assert!(!bench.part(WEIGHTS).exists() && !bench.part("model.safetensors.part").exists());
    // The caller's own contradicts the hub's: told before a byte is fetched.
    bench.running.ranges();
    let hub = Hub::new(&bench.running.address, None).unwrap();
    let order = Order { sha256: Some("1".repeat(64)), ..bench.order() };
    let error = pull(&hub, &order, &mut |_| {}).await.err().unwrap();
    assert!(matches!(error, HubError::Checksum { .. }), "{error}");
    assert_eq!(bench.running.ranges(), []);
}

#[tokio::test]
async fn sizes_are_bounded() {
    let bench = Bench::new().await;
    bench.running.shelf().surplus = 100;
    bench.is_refused("goes on after").await;
    assert!(!bench.part("model.safetensors.part").exists());
    bench.running.shelf().told_size = Some(3 << 30);
    bench.is_refused("`model.safetensors` has 3221225472 bytes").await;
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let bench = Bench::new().await;
    let hub = Hub::new(&bench.running.address, None).unwrap();
    let check = async |order: Order, reason: &str| {
        let error = pull(&hub, &order, &mut |_| {}).await.err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    };
    let nobody = "no/body".parse().unwrap();
    check(Order { name: nobody, ..bench.order() }, "404: there is no such repository").await;
    check(Order { revision: "../x".to_owned(), ..bench.order() }, "is not a revision").await;
    bench.running.shelf().files.remove("tokenizer.json");
    check(bench.order(), "`some/encoder` has no `tokenizer.json`").await;
    let closed = Hub::new("http://127.0.0.1:1", None).unwrap();
    let error = pull(&closed, &bench.order(), &mut |_| {}).await.err().unwrap();
    assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
    for odd in ["ftp://a", "https://u:p@host", "https://host?x=1", "", "host"] {
        assert!(matches!(Hub::new(odd, None), Err(HubError::Address)), "{odd}");
    }
}

#[tokio::test]
async fn a_token_is_asked_for_and_goes_to_the_hub_alone() {
    let bench = Bench::new().await;
    bench.running.shelf().token = Some("hf_secret".to_owned());
    bench.is_refused("401: the hub wants a token").await;
    let token = SecretString::from("hf_secret\n".to_owned());
    let hub = Hub::new(&bench.running.address, Some(&token)).unwrap();
    assert!(!format!("{hub:?}").contains("hf_secret"));
    pull(&hub, &bench.order(), &mut |_| {}).await.unwrap();
    let asked = std::mem::take(&mut bench.running.shelf().asked);
    let carried = |it: &&shelf::Asked| it.headers.contains_key("authorization");
    let at_cdn = |it: &&shelf::Asked| it.path.starts_with("/cdn/");
    assert!(asked.iter().filter(at_cdn).count() == 1);
    assert_eq!(asked.iter().filter(at_cdn).filter(carried).count(), 0, "another host");
    // In the clear it goes to nobody but this machine.
    let plain = Hub::new("http://mirror.example", Some(&token)).unwrap();
    assert!(format!("{plain:?}").contains("token: None"));
    let odd = SecretString::from("a\nb".to_owned());
    assert!(matches!(Hub::new("https://a", Some(&odd)), Err(HubError::Token)));
}

#[tokio::test]
async fn what_makes_no_encoder_is_not_put_in_place() {
    let bench = Bench::new().await;
    let config = br#"{"model_type": "roberta"}"#.to_vec();
    bench.running.shelf().files.insert("config.json".to_owned(), config);
    bench.is_refused("`model_type` must be").await;
}
