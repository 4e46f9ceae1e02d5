//! A server for some scenes, with simulated providers; every model is a provider of its own.
//!
//! In: scenes. Out: what was found wrong with each.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use futures_util::future::join_all;
use pointsman::simulator::{Dialect, FaultRates, OutputTokens, SimulatedModel, Simulator};

use super::ask::Asker;
use super::check::{Checker, Found};
use super::scene::{Cause, LETTERS, Pattern, Scene, Wish};
use super::support::House;

/// Nothing listens at the first port on any machine of ours.
const NOBODY: &str = "127.0.0.1:1";

/// As [`play_here`], on a thread of its own: to load a server's artifacts takes some 0.1 s in which
/// others' clocks must go on.
pub(crate) async fn play(scenes: Vec<Scene>) -> Vec<Found> {
    let runtime = tokio::runtime::Handle::current();
    let played = tokio::task::spawn_blocking(move || runtime.block_on(play_here(scenes)));
    played.await.unwrap()
}

/// Plays scenes at the same time on one server.
async fn play_here(scenes: Vec<Scene>) -> Vec<Found> {
    let house = open(&scenes).await;
    let asker = Asker::new(&house);
    let checker = Checker::new(&house);
    let one = |scene: &Scene| {
        let scene = scene.clone();
        let (asker, checker) = (&asker, &checker);
        async move {
            let told = asker.ask(&scene).await;
            checker.check(&scene, &told).await
        }
    };
    let found = join_all(scenes.iter().map(one)).await;
    drop((asker, checker));
    house.stop().await;
    found
}

/// A server that knows the models of these scenes.
pub(crate) async fn open(scenes: &[Scene]) -> House {
    let output_tokens = OutputTokens { median: 40.0, sigma: 0.3 };
    let models = scenes.iter().flat_map(|scene| {
        LETTERS.map(|letter| {
            let model = SimulatedModel::instant(&scene.model(letter));
            let voice = scene.voice();
            failing(scene, letter, SimulatedModel { output_tokens, voice, ..model })
        })
    });
    let config = |simulator: &Simulator, listen: SocketAddr, store: &Path| {
        let mut text = format!(
            "[server]\nlisten = \"{listen}\"\n[policy]\npreference = \"quality\"\n\
             timeouts = {{ first_attempt = \"2s\", fallback = \"2s\", stall = \"2s\" }}\n\
             [outcomes]\nstore = \"sqlite://{}\"\n",
            store.display()
        );
        for scene in scenes {
            LETTERS.iter().for_each(|it| text.push_str(&section(scene, *it, simulator)));
        }
        text
    };
    House::with(models.collect(), config).await
}

fn failing(scene: &Scene, letter: char, model: SimulatedModel) -> SimulatedModel {
    match scene.row.fault {
        Cause::Fault(fault) if scene.fails(letter) => match scene.pattern {
            Pattern::Once => SimulatedModel { script: vec![fault], ..model },
            Pattern::Always | Pattern::All => {
                SimulatedModel { faults: FaultRates::always(fault), ..model }
            }
        },
        Cause::Fault(_) | Cause::NothingListens | Cause::ImageByUrl => model,
    }
}

/// A provider and its one model.
fn section(scene: &Scene, letter: char, simulator: &Simulator) -> String {
    let (model, protocol) = (scene.model(letter), scene.speaks(letter));
    let mut base_url = simulator.base_url_for(Dialect::named(protocol).unwrap());
    if scene.row.fault == Cause::NothingListens && scene.fails(letter) {
        base_url = base_url.replace(&simulator.address().to_string(), NOBODY);
    }
    let window = match letter {
        _ if scene.row.wish == Wish::SameWindow => 131_072,
        'A' => 131_072,
        'B' => 262_144,
        'C' => 524_288,
        _ => 1_048_576,
    };
    let (input, output) = scene.price(letter);
    let quirks = match protocol {
        "openai" if scene.row.wish == Wish::NoUsage => "quirks = { stream_options = false }\n",
        "openai" => "quirks = { assistant_prefix = \"plain\" }\n",
        _ => "",
    };
    let billing = scene.billing(letter).as_str();
    let mut text = format!(
        "[[provider]]\nname = \"p-{model}\"\nprotocol = \"{protocol}\"\nbase_url = \"{base_url}\"\n\
         api_key_env = \"HOUSE_KEY\"\nbilling = \"{billing}\"\n{quirks}\
         [[model]]\nname = \"{model}\"\nquality_prior = 0.5\ncontext_window = {window}\n\
         max_output_tokens = 4096\nabilities = [\"images\"]\n\
         [[model.deployment]]\nprovider = \"p-{model}\"\nmodel_id = \"{model}\"\n\
         price = {{ input = {input:?}, output = {output:?} }}\n\
         speed = {{ ttft_ms = 20, tokens_per_s = 2000 }}\n"
    );
    let last_resort = letter == 'D' && scene.row.wish == Wish::LastResort;
    writeln!(text, "last_resort = {last_resort}").unwrap();
    text
}
