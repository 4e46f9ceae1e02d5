//! A panel from the command line over simulated providers: what is paid, what survives, what is written.
//!
//! In: simulated models on loopback. Out: nothing. Invariant: the providers' own bill is what ours is
//! held against.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;
use pointsman::domain::{Billing, Price, TokenPrice, Usd};
use pointsman::simulator::{FaultRates, OutputTokens, SimulatedModel, Simulator, parse_rates};
use pointsman_training::dataset::Dataset;
use pointsman_training::panel::events::State;
use pointsman_training::panel::work::Work;
use pointsman_training::panel::{PanelArgs, Unbelieved};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Names, chances of a right answer, and prices per million tokens of input and output, USD.
const MODELS: [(&str, f64, f64, f64); 3] =
    [("small", 0.3, 0.5, 2.0), ("large", 0.9, 5.0, 20.0), ("judge", 1.0, 1.0, 4.0)];
const PROMPTS: usize = 24;
/// Above what any of these panels can cost.
const ENOUGH: &str = "5";
/// How often and how long a child is waited for.
const POLL: Duration = Duration::from_millis(5);
const POLLS_MAX: usize = 24_000;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    panel: PanelArgs,
}

/// Providers, a config for them, and prompts whose right answer is `Right.`
struct Stage {
    simulator: Simulator,
    folder: tempfile::TempDir,
    // Last: what runs on it ends first.
    _runtime: Runtime,
}

impl Stage {
    fn new(time_scale: f64) -> Self {
        let runtime = Runtime::new().expect("threads");
        let output_tokens = OutputTokens { median: 1.0, sigma: 0.0 };
        let models = MODELS.map(|(name, quality, _, _)| {
            let ttft = Duration::from_millis(100);
            let model =
                SimulatedModel { quality, output_tokens, ttft, ..SimulatedModel::new(name) };
            SimulatedModel { time_scale, ..model }
        });
        let simulator = runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            Simulator::start(models.to_vec(), 7, listener)
        });
        let folder = tempfile::tempdir().expect("a folder");
        let it = Self { simulator, folder, _runtime: runtime };
        let write =
            |name: &str, text: String| std::fs::write(it.path(name), text).expect("written");
        write("pointsman.toml", it.config());
        let subjects = ["trains", "rivers", "bread", "sums", "poems", "law"];
        let line = |at: usize| {
            let subject = subjects[at % subjects.len()];
            format!(
                "{{\"prompt\":\"Question {at} about {subject}?\",\"reference\":\"right\",\"task\":\"{subject}\"}}\n"
            )
        };
        write("prompts.jsonl", (0..PROMPTS + 6).map(line).collect());
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        let model = |(name, _, input, output): (&str, f64, f64, f64)| {
            format!(
                "[[model]]\nname = \"{name}\"\ncontext_window = 8192\nmax_output_tokens = 4096\n\
                 abilities = [\"json_schema\"]\n[[model.deployment]]\nprovider = \"simulated\"\n\
                 model_id = \"{name}\"\nprice = {{ input = {input:?}, output = {output:?} }}\n"
            )
        };
        let url = self.simulator.base_url();
        let provider = format!("[[provider]]\nname = \"simulated\"\nbase_url = \"{url}\"\n");
        provider + &MODELS.map(model).concat()
    }

    /// The arguments of a panel of `small` and `large` in a work folder.
    fn args(&self, work: &str, limit: &str, further: &[&str]) -> Vec<String> {
        let text = |it: PathBuf| it.display().to_string();
        let mut args: Vec<String> = vec!["panel".into(), "--prompts".into(), PROMPTS.to_string()];
        for (name, value) in [
            ("--config", text(self.path("pointsman.toml"))),
            ("--prompt-file", text(self.path("prompts.jsonl"))),
            ("--work", text(self.path(work))),
            ("--out", text(self.path(work).with_extension("parquet"))),
            ("--max-cost-usd", limit.to_owned()),
        ] {
            args.extend([name.to_owned(), value]);
        }
        args.extend(["--models", "small,large", "--max-output-tokens", "64"].map(str::to_owned));
        args.extend(further.iter().map(|it| (*it).to_owned()));
        args
    }

    fn run(&self, work: &str, limit: &str, further: &[&str]) -> anyhow::Result<()> {
        Cli::parse_from(self.args(work, limit, further)).panel.run()
    }

    /// What the providers put on their bill, USD.
    fn billed(&self) -> Usd {
        let calls = self.simulator.calls();
        calls.iter().map(|it| price(&it.model_id).cost(&it.billed(Billing::default()))).sum()
    }

    fn spent(&self, work: &str) -> Usd {
        Work::open(&self.path(work)).expect("the work folder").with(State::spent)
    }

    fn table(&self, work: &str) -> Dataset {
        Dataset::read(&self.path(work).with_extension("parquet")).expect("a table")
    }

    fn calls(&self) -> usize {
        self.simulator.calls().len()
    }
}

fn price(model: &str) -> Price {
    let usd = |it| TokenPrice::per_million(it).expect("a price");
    let (_, _, input, output) = MODELS.into_iter().find(|it| it.0 == model).expect("a model");
    Price::of(usd(input), usd(output))
}

/// Everything of a table that does not depend on how fast a call was.
fn told(data: &Dataset) -> Vec<String> {
    let row = |it: &pointsman_training::dataset::Label| {
        let place = |names: &[String], at: u16| names[usize::from(at)].clone();
        format!(
            "{} {} {} {} {} {:?} {:?} {:?} {}",
            data.prompts[it.prompt as usize].as_str(),
            place(&data.models, it.model),
            place(&data.sources, it.source),
            place(&data.tasks, it.task),
            it.quality,
            it.input_tokens,
            it.output_tokens,
            it.cost_usd,
            it.tokens_est,
        )
    };
    data.labels.iter().map(row).collect()
}

fn quality_of(data: &Dataset, model: &str) -> f32 {
    let of = data.labels.iter().filter(|it| data.models[usize::from(it.model)] == model);
    of.map(|it| it.quality).sum()
}

#[test]
fn what_is_paid_is_what_providers_bill_and_nothing_is_bought_twice() {
    let stage = Stage::new(0.0);
    stage.run("work", ENOUGH, &["--dry-run"]).expect("a plan");
    assert!(!stage.path("work").exists() && stage.calls() == 0);
    stage.run("work", ENOUGH, &[]).expect("a table");
    let table = stage.table("work");
    assert_eq!((table.labels.len(), stage.calls()), (2 * PROMPTS, 2 * PROMPTS));
    assert_eq!(stage.spent("work"), stage.billed());
    let cost: f64 = table.labels.iter().filter_map(|it| it.cost_usd).sum();
    assert!((cost - stage.billed().get()).abs() < 1e-9);
    assert!(table.labels.iter().all(|it| it.latency_s.is_some() && !it.tokens_est));
    for model in ["small", "large"] {
        let calls = stage.simulator.calls();
        let right = calls.iter().filter(|it| it.model_id == model && it.right).count();
        assert_eq!(quality_of(&table, model), right as f32, "{model}");
    }
    assert!(quality_of(&table, "large") > quality_of(&table, "small"));
    // A user's program grades the same answers, which are not bought again.
    let script = stage.path("grade.sh");
    let program = "grep -q '\"answer\":\"Right' && echo 1 || echo 0";
    std::fs::write(&script, program).expect("written");
    let line = format!("/bin/sh {}", script.display());
    stage.run("work", ENOUGH, &["--grade", "command", "--grade-command", &line]).expect("a table");
    assert_eq!((told(&stage.table("work")), stage.calls()), (told(&table), 2 * PROMPTS));
    // Another draw is not mixed with this one.
    let other = stage.run("work", ENOUGH, &["--seed", "2"]).expect_err("refused");
    assert!(other.to_string().contains("--seed 1"), "{other}");
}

#[test]
fn the_limit_holds_whatever_fails() {
    let stage = Stage::new(0.0);
    let rates = parse_rates("reset=0.1, reset_in_body=0.1, malformed=0.05").expect("rates");
    for model in ["small", "large"] {
        stage.simulator.set_faults(model, rates.clone()).expect("a model");
    }
    // Some prompts' worth: each can cost 0.0075 at most, and costs far less.
    stage.run("work", "0.03", &["--concurrency", "8"]).expect("a table");
    let (spent, billed) = (stage.spent("work"), stage.billed());
    assert!(billed <= spent && spent <= Usd::new(0.03).expect("an amount"), "{billed} {spent}");
    let rows = stage.table("work").labels.len();
    assert!(rows > 0 && rows < 2 * PROMPTS, "{rows}");
    // More money goes on where that ended.
    for model in ["small", "large"] {
        stage.simulator.set_faults(model, FaultRates::none()).expect("a model");
    }
    stage.run("work", ENOUGH, &["--ask-again"]).expect("a table");
    assert_eq!(stage.table("work").labels.len(), 2 * PROMPTS);
    let (spent, billed) = (stage.spent("work"), stage.billed());
    assert!(billed <= spent, "{billed} {spent}");
}

#[test]
fn a_panel_that_is_killed_makes_the_same_table() {
    let stage = Stage::new(1.0);
    stage.run("whole", ENOUGH, &[]).expect("a table");
    let whole = told(&stage.table("whole"));
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman-train"));
        command.args(stage.args("killed", ENOUGH, &[])).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("it starts")
    };
    let journal = stage.path("killed").join("work.jsonl");
    let lines = || std::fs::read_to_string(&journal).map_or(0, |it| it.lines().count());
    for wanted in [3, 30, 61] {
        let mut child = start();
        for _ in 0..POLLS_MAX {
            if lines() >= wanted {
                break;
            }
            assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
            std::thread::sleep(POLL);
        }
        // SIGKILL: nothing is finished, flushed or told.
        child.kill().expect("killed");
        child.wait().expect("it ended");
        assert!(lines() >= wanted && !stage.path("killed.parquet").exists());
    }
    let mut child = start();
    assert!(child.wait().expect("it ended").success());
    assert_eq!(told(&stage.table("killed")), whole);
    // Calls that were under way are counted whole, and are all that was bought twice.
    let again = stage.calls() - 4 * PROMPTS;
    assert!(again <= 3 * 4, "{again} calls more");
    assert!(stage.spent("whole") + stage.spent("killed") >= stage.billed());
}

#[test]
fn a_judge_that_contradicts_itself_is_not_believed() {
    let stage = Stage::new(0.0);
    // The simulated judge draws its grades.
    let judged = ["--grade", "judge", "--judge", "judge"];
    let refused = stage.run("work", ENOUGH, &judged).expect_err("refused");
    assert!(refused.is::<Unbelieved>(), "{refused:#}");
    assert!(!stage.path("work.parquet").exists());
    let told = std::fs::read_to_string(stage.path("work").join("agreement.json")).expect("kept");
    assert!(told.contains("\"pairs\": 48"), "{told}");
    let calls = stage.calls();
    assert_eq!((calls, stage.spent("work")), (6 * PROMPTS, stage.billed()));
    stage.run("work", ENOUGH, &[&judged[..], &["--force"]].concat()).expect("a table");
    assert_eq!((stage.table("work").labels.len(), stage.calls()), (2 * PROMPTS, calls));
    // Held against people, it is found out before anything else is bought.
    let rows: String = (0..30).map(|at| format!("what {at}?,so,{}\n", at % 2)).collect();
    std::fs::write(stage.path("people.csv"), format!("prompt,answer,quality\n{rows}"))
        .expect("written");
    let people = stage.path("people.csv").display().to_string();
    let checked = [&judged[..], &["--judge-check", &people]].concat();
    let refused = stage.run("other", ENOUGH, &checked).expect_err("refused");
    assert!(refused.is::<Unbelieved>() && stage.calls() == calls + 30, "{refused:#}");
    private(&stage.path("work"));
}

/// Nobody but the owner may read what was asked and answered.
fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let table = folder.with_extension("parquet");
    let files = ["work.jsonl", "sample.jsonl", "agreement.json"].map(|it| folder.join(it));
    for path in files.iter().chain([&table]) {
        let mode = std::fs::metadata(path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
}
