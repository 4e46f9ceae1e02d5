//! The work folder: which prompts were drawn, and every call as it begins and ends.
//!
//! In: events. Out: the same after any end of the process, with what was spent. Invariant: an event is on
//! the disk before anything follows from it; a last line that was cut is dropped. One process at a time;
//! only the owner may read. Not here: what events add up to (see [`super::events`]), and what is asked next
//! (see [`super::run`]).

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use pointsman::domain::Usd;
use serde::{Deserialize, Serialize};

use super::ask::Ask;
use super::events::{Event, State};
use super::sample::Why;

/// Calls and answers.
const WORK_FILE: &str = "work.jsonl";
/// The prompts that were drawn.
const SAMPLE_FILE: &str = "sample.jsonl";
/// Prompts and answers are nobody's but the owner's.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// What the draw was, so that a folder is not gone on with for another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// Its seed.
    pub seed: u64,
    /// Prompts wanted.
    pub wanted: usize,
    /// Prompts drawn from.
    pub of: usize,
}

/// A prompt that was drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// The prompt.
    pub ask: Ask,
    /// Its cluster.
    pub cluster: usize,
    /// By which half of the rule.
    pub why: Why,
}

/// The folder, open.
#[derive(Debug)]
pub struct Work {
    folder: PathBuf,
    file: Mutex<File>,
    state: Mutex<State>,
}

impl Work {
    /// Opens a folder, or makes it, and reads what is in it.
    ///
    /// # Errors
    /// When it cannot be made or read, another process has it open, or a line of it is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let place = || folder.display().to_string();
        let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder);
        made.with_context(place)?;
        let path = folder.join(WORK_FILE);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(PRIVATE_FILE);
        let file = options.open(&path).with_context(|| path.display().to_string())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}: another panel works here", place()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(place),
        }
        let (state, whole) = replay(&file).with_context(|| path.display().to_string())?;
        file.set_len(whole).with_context(|| path.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), file: Mutex::new(file), state: Mutex::new(state) })
    }

    /// Writes an event down; it is on the disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: then nothing more may be spent.
    pub fn record(&self, event: Event) -> Result<()> {
        let mut line = serde_json::to_vec(&event)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        written.with_context(|| self.folder.join(WORK_FILE).display().to_string())?;
        self.lock().apply(event);
        Ok(())
    }

    /// Writes down that a call is about to be made, and gives it its number.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn begin(&self, at_most_usd: Usd) -> Result<u64> {
        let call = self.lock().next_call();
        self.record(Event::Began { call, at_most_usd })?;
        Ok(call)
    }

    /// Looks at everything that has happened.
    pub fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The prompts that were drawn for this folder before, if any were.
    ///
    /// # Errors
    /// When they cannot be read, or were drawn otherwise.
    pub fn sampled(&self, seed: u64, wanted: usize) -> Result<Option<Vec<Sampled>>> {
        let path = self.folder.join(SAMPLE_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let place = || path.display().to_string();
        let file = File::open(&path).with_context(place)?;
        let mut lines = BufReader::new(file).lines();
        let first = lines.next().transpose().with_context(place)?.unwrap_or_default();
        let draw: Draw = serde_json::from_str(&first).ok().with_context(|| damaged(&path, 1))?;
        ensure!(
            (draw.seed, draw.wanted) == (seed, wanted),
            "{}: its prompts were drawn with --seed {} --prompts {}; give the same, or another --work",
            self.folder.display(),
            draw.seed,
            draw.wanted
        );
        let mut found = Vec::new();
        for (at, line) in lines.enumerate() {
            let line = line.with_context(place)?;
            found.push(serde_json::from_str(&line).ok().with_context(|| damaged(&path, at + 2))?);
        }
        Ok(Some(found))
    }

    /// Keeps the prompts that were drawn.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, draw: &Draw, sampled: &[Sampled]) -> Result<()> {
        let mut lines = vec![serde_json::to_string(draw)?];
        for it in sampled {
            lines.push(serde_json::to_string(it)?);
        }
        lines.push(String::new());
        write_whole(&self.folder.join(SAMPLE_FILE), lines.join("\n").as_bytes())
    }
}

/// Writes a file beside its place and moves it there, for the owner's eyes.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let place = || path.display().to_string();
    let mut name = path.file_name().with_context(place)?.to_owned();
    name.push(".part");
    let beside = path.with_file_name(name);
    // One that was left there may be open to others.
    if beside.exists() {
        std::fs::remove_file(&beside).with_context(place)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(PRIVATE_FILE).open(&beside);
    let mut file = file.with_context(place)?;
    file.write_all(content).and_then(|()| file.sync_all()).with_context(place)?;
    std::fs::rename(&beside, path).with_context(place)
}

fn damaged(path: &Path, line: usize) -> String {
    format!("{}: line {line} is damaged", path.display())
}

/// What a file says, and how many bytes of it are whole lines.
fn replay(mut file: &File) -> Result<(State, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut state, mut whole) = (State::default(), 0);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            break;
        }
        // serde's own message may repeat what it found.
        let Ok(event) = serde_json::from_slice(&line) else { bail!("line {number} is damaged") };
        state.apply(event);
        whole += read as u64;
    }
    Ok((state, whole))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use pointsman::domain::{FailureClass, Usage};

    use super::super::events::{Answer, Grade, Pair};
    use super::*;

    fn usd(it: f64) -> Usd {
        Usd::new(it).unwrap()
    }

    fn answer(model: &str) -> Answer {
        Answer {
            prompt: "p".to_owned(),
            model: model.to_owned(),
            text: "the secret answer".into(),
            cut_at: None,
            usage: Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() },
            cost_usd: usd(0.01),
            latency_s: 0.1 + 0.2,
        }
    }

    fn grade(pass: u8, quality: f64) -> Grade {
        let (prompt, model, grader) = ("p".to_owned(), "m".to_owned(), "g".to_owned());
        Grade { prompt, model, grader, pass, quality }
    }

    fn pair(model: &str) -> Pair {
        ("p".to_owned(), model.to_owned())
    }

    #[test]
    fn everything_is_there_again_and_open_calls_count_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("work");
        {
            let work = Work::open(&path).unwrap();
            assert!(Work::open(&path).unwrap_err().to_string().contains("another panel"));
            assert_eq!(work.begin(usd(0.5)).unwrap(), 0);
            work.record(Event::Answered { call: 0, answer: answer("m") }).unwrap();
            let call = work.begin(usd(0.4)).unwrap();
            let class = FailureClass::Overloaded;
            work.record(Event::Failed { call, class, cost_usd: usd(0.02) }).unwrap();
            let (prompt, model) = pair("n");
            work.record(Event::Unanswered { prompt, model, class }).unwrap();
            let call = work.begin(usd(0.3)).unwrap();
            work.record(Event::Judged { call, cost_usd: usd(0.03), grade: grade(0, 0.75) })
                .unwrap();
            work.record(Event::Graded(grade(1, 1.0))).unwrap();
            work.begin(usd(0.2)).unwrap();
        }
        let work = Work::open(&path).unwrap();
        work.with(|it| {
            assert_eq!(it.spent(), usd(0.01 + 0.02 + 0.03 + 0.2));
            assert_eq!(it.answers[&pair("m")], answer("m"));
            assert_eq!(it.unanswered[&pair("n")], FailureClass::Overloaded);
            let grades = [0, 1, 2].map(|pass| it.grade_of(&pair("m"), "g", pass));
            assert_eq!(grades, [Some(0.75), Some(1.0), None]);
        });
        assert_eq!(work.begin(usd(0.1)).unwrap(), 4);
        for (name, mode) in [("", 0o700), (WORK_FILE, 0o600)] {
            let found = std::fs::metadata(path.join(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{name}");
        }
    }

    #[test]
    fn a_cut_line_is_dropped_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WORK_FILE);
        drop(Work::open(folder.path()).unwrap().record(Event::Graded(grade(0, 0.5))));
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            std::fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
            let work = Work::open(folder.path()).unwrap();
            work.record(Event::Graded(grade(1, 0.25))).unwrap();
            drop(work);
            let again = Work::open(folder.path()).unwrap();
            assert_eq!(again.with(|it| it.grade_of(&pair("m"), "g", 1)), Some(0.25), "{cut}");
        }
        std::fs::write(&path, [b"{\"secret\":1}\n", &whole[..]].concat()).unwrap();
        let error = format!("{:#}", Work::open(folder.path()).unwrap_err());
        assert!(error.contains("line 1 is damaged") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn the_sample_stays_as_it_was_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::open(folder.path()).unwrap();
        assert_eq!(work.sampled(1, 2).unwrap(), None);
        let ask = |text: &str| Ask::new(vec![], text.into());
        let sampled = ["one\ntwo", "three"].map(|it| Sampled {
            ask: Ask { reference: Some("1".into()), ..ask(it) },
            cluster: 3,
            why: Why::Doubt,
        });
        work.keep(&Draw { seed: 1, wanted: 2, of: 9 }, &sampled).unwrap();
        assert_eq!(work.sampled(1, 2).unwrap().unwrap(), sampled);
        let error = work.sampled(2, 2).unwrap_err().to_string();
        assert!(error.contains("--seed 1 --prompts 2"), "{error}");
        let mode = std::fs::metadata(folder.path().join(SAMPLE_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
