//! What may be asked: prompts out of a file, or out of an outcome log that keeps them.
//!
//! In: a path. Out: [`Ask`]s, each once. Invariant: an ask is one turn of a person, with the operator's
//! texts before it where there were any, since a labelled table holds no more; whatever is more is passed
//! over and counted. `Debug` prints no text. Not here: which of them are asked (see [`super::sample`]).

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pointsman::domain::{ChatRequest, Message, Text, sha256_hex};
use pointsman::outcome::{OutcomeRecord, RecordedPrompt};
use serde::{Deserialize, Serialize};

use super::rows;
use crate::dataset::prompt;
use crate::outcomes::OutcomeSource;

/// Hex digits of an id: 64 bits, which a million prompts do not fill by chance.
const ID_DIGITS: usize = 16;
/// Longest name of a source or a task, in bytes: the table's reader takes no longer ones.
const NAME_BYTES_MAX: usize = 512;
/// What a prompt without a source has in the column `source`.
const SOURCE: &str = "panel";

/// One prompt that may be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Tells it from all others; made of its texts.
    pub id: String,
    /// The person's turn, tools behind it as [`crate::dataset::prompt`] has them.
    pub prompt: Text,
    /// The operator's texts before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Text>,
    /// The right answer, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text>,
    /// What it is called in the table's column `task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What it is called in the table's column `source`.
    pub source: String,
}

/// Prompts, and what was no prompt for a panel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asks {
    /// Every one once.
    pub asks: Vec<Ask>,
    /// Decisions whose text was not kept.
    pub without_text: u64,
    /// Decisions with earlier turns, pictures, tools or a shape of answer, which a table cannot hold.
    pub beyond_table: u64,
    /// Decisions that could not be read.
    pub unreadable: u64,
}

impl Ask {
    /// An ask of these texts.
    pub fn new(system: Vec<Text>, prompt: Text) -> Self {
        let all = system.iter().chain([&prompt]).flat_map(|it| {
            // Lengths keep texts apart.
            [it.len().to_string(), ":".to_owned(), it.as_str().to_owned()]
        });
        let mut id = sha256_hex(all.collect::<String>().as_bytes());
        id.truncate(ID_DIGITS);
        Self { id, prompt, system, reference: None, task: None, source: SOURCE.to_owned() }
    }

    /// Whether it can be asked, and what comes of it can be read back: better now than when the answers
    /// are paid for.
    fn check(&self) -> Result<()> {
        let names = [Some(&self.source), self.task.as_ref()];
        let short = names.into_iter().flatten().all(|it| it.len() <= NAME_BYTES_MAX);
        ensure!(short, "a task or source of more than {NAME_BYTES_MAX} bytes");
        ensure!(!self.prompt.is_blank(), "a prompt of white space");
        if let Err(violations) = self.request(1).validate() {
            let fields: Vec<_> = violations.into_iter().map(|it| it.field).collect();
            bail!("no request that any model takes: {}", fields.join(", "));
        }
        Ok(())
    }

    /// It as a request for at most so many output tokens.
    pub fn request(&self, max_output_tokens: u64) -> ChatRequest {
        let mut request = prompt::request(self.prompt.as_str());
        let system = self.system.iter().cloned().map(Message::System);
        request.messages = system.chain(request.messages).collect();
        request.sampling.max_output_tokens = Some(max_output_tokens);
        request
    }
}

/// The prompts of a file: lines of text, or `.jsonl` or `.csv` with the column `prompt` and, if wanted,
/// `reference`, `task` and `source`.
///
/// # Errors
/// When the file cannot be read, or holds no prompt.
pub fn from_file(path: &Path) -> Result<Asks> {
    let mut known = HashMap::new();
    let mut asks = Vec::new();
    let rows = rows::read(path, &["prompt", "reference", "task", "source"])?;
    for (at, row) in rows.into_iter().enumerate() {
        let [Some(prompt), reference, task, source] = row.as_slice() else { continue };
        let name = |it: &Option<Text>| it.clone().map(Text::into_string);
        let ask = Ask::new(Vec::new(), prompt.clone());
        let source = name(source).unwrap_or_else(|| ask.source.clone());
        let ask = Ask { reference: reference.clone(), task: name(task), source, ..ask };
        ask.check().with_context(|| format!("{}: row {}", path.display(), at + 1))?;
        if known.insert(ask.id.clone(), ()).is_none() {
            asks.push(ask);
        }
    }
    ensure!(!asks.is_empty(), "{}: no prompt is in it", path.display());
    Ok(Asks { asks, ..Asks::default() })
}

/// The newest prompts of a log, at most `newest`; of equal ones the newest.
///
/// # Errors
/// When the log cannot be read, or holds no prompt that a panel could be asked.
pub fn from_log(source: &dyn OutcomeSource, newest: usize) -> Result<Asks> {
    let mut found = Asks::default();
    let mut recent = VecDeque::new();
    source.each(&mut |logged| {
        let Ok(logged) = logged else {
            found.unreadable += 1;
            return;
        };
        match of_record(&logged.record) {
            Ok(ask) => {
                if recent.len() == newest {
                    recent.pop_front();
                }
                recent.push_back(ask);
            }
            Err(Unfit::WithoutText) => found.without_text += 1,
            Err(Unfit::BeyondTable) => found.beyond_table += 1,
        }
    })?;
    let mut known = HashMap::new();
    let newest_first = recent.into_iter().rev();
    let mut asks: Vec<Ask> =
        newest_first.filter(|it| known.insert(it.id.clone(), ()).is_none()).collect();
    asks.reverse();
    let Asks { without_text, beyond_table, unreadable, .. } = found;
    ensure!(
        !asks.is_empty(),
        "the log has no prompt for a panel: {without_text} decisions were kept without their text \
         (the server keeps it with [outcomes] prompts = \"full\"), {beyond_table} have more than a \
         table holds, {unreadable} cannot be read"
    );
    Ok(Asks { asks, ..found })
}

/// Why a decision's prompt is none for a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unfit {
    WithoutText,
    BeyondTable,
}

/// A message as the log keeps it.
#[derive(Deserialize)]
#[serde(tag = "role", rename_all = "lowercase", deny_unknown_fields)]
enum Kept {
    System { text: Text },
    User { parts: Vec<KeptPart> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptPart {
    text: Text,
}

fn of_record(record: &OutcomeRecord) -> Result<Ask, Unfit> {
    let RecordedPrompt::Full(kept) = &record.prompt else { return Err(Unfit::WithoutText) };
    // Tools and the shape of the answer are not in the text.
    if !record.need.abilities.is_empty() {
        return Err(Unfit::BeyondTable);
    }
    let kept: Vec<Kept> = serde_json::from_str(kept.as_str()).map_err(|_| Unfit::BeyondTable)?;
    let (mut system, mut prompt) = (Vec::new(), None);
    for message in kept {
        match message {
            Kept::System { text } => system.push(text),
            Kept::User { parts } if prompt.is_none() => {
                let texts: Vec<String> =
                    parts.into_iter().map(|it| it.text.into_string()).collect();
                prompt = Some(Text::from(texts.join("\n")));
            }
            Kept::User { .. } => return Err(Unfit::BeyondTable),
        }
    }
    let prompt = prompt.filter(|it| !it.is_blank()).ok_or(Unfit::BeyondTable)?;
    Ok(Ask::new(system, prompt))
}

#[cfg(test)]
mod tests {
    use pointsman::domain::{Ability, AbilitySet, Image, ImageSource, Part};
    use pointsman::outcome::PromptPrivacy;

    use super::*;
    use crate::offpolicy::records_tests::Bench;

    fn kept(messages: &str) -> Result<Vec<String>, String> {
        let kept: Vec<Kept> = serde_json::from_str(messages).map_err(|it| it.to_string())?;
        let words = |it: Kept| match it {
            Kept::System { text } => format!("s:{}", text.as_str()),
            Kept::User { parts } => format!("u:{}", parts.len()),
        };
        Ok(kept.into_iter().map(words).collect())
    }

    #[test]
    fn logged_messages_are_read_as_the_server_writes_them() {
        let full = |request: &ChatRequest| match RecordedPrompt::of(request, PromptPrivacy::Full) {
            RecordedPrompt::Full(text) => text.into_string(),
            RecordedPrompt::None | RecordedPrompt::Hash(_) => String::new(),
        };
        let mut request = ChatRequest::from_prompt("what?");
        request.messages.insert(0, Message::System("be brief".into()));
        assert_eq!(kept(&full(&request)).unwrap(), ["s:be brief", "u:1"]);
        let image = Image::new(ImageSource::Url("https://example.org/a.png".into()));
        request.messages.push(Message::User(vec![Part::Image(image)]));
        assert!(kept(&full(&request)).is_err());
    }

    #[test]
    fn a_request_has_everything_that_was_asked() {
        let ask = Ask::new(vec!["be brief".into()], "what?".into());
        let request = ask.request(77);
        assert_eq!(request.system_texts().map(Text::as_str).collect::<Vec<_>>(), ["be brief"]);
        assert_eq!(request.sampling.max_output_tokens, Some(77));
        assert_eq!(request.validate(), Ok(()));
        // The same letters, differently divided, are another prompt.
        assert_ne!(ask.id, Ask::new(vec!["be briefwhat".into()], "?".into()).id);
        assert!(!format!("{ask:?}").contains("brief"));
    }

    #[test]
    fn a_file_gives_each_prompt_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        std::fs::write(&path, "prompt,reference,task,source\na,1,sums,mine\nb,,,\na,2,,\n")
            .unwrap();
        let asks = from_file(&path).unwrap().asks;
        let told: Vec<_> = asks
            .iter()
            .map(|it| (it.prompt.as_str(), it.task.as_deref(), it.source.as_str()))
            .collect();
        assert_eq!(told, [("a", Some("sums"), "mine"), ("b", None, "panel")]);
        let check = |rows: &str, wanted: &str| {
            std::fs::write(&path, format!("prompt,task\n{rows}")).unwrap();
            let error = format!("{:#}", from_file(&path).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        };
        check("", "no prompt");
        check("a,\n  ,\n", "row 2: a prompt of white space");
        check(&format!("a,{}\n", "t".repeat(513)), "row 1: a task");
    }

    #[test]
    fn a_log_gives_the_newest_prompts_that_a_table_holds() {
        let bench = Bench::new();
        let full = |request: &ChatRequest| RecordedPrompt::of(request, PromptPrivacy::Full);
        let mut log: Vec<_> = (0..8).map(|it| bench.logged(it)).collect();
        for (at, text) in [(0, "old"), (1, "twice"), (2, "twice"), (3, "tools"), (5, "new")] {
            log[at].record.prompt = full(&ChatRequest::from_prompt(text));
        }
        log[3].record.need.abilities = AbilitySet::EMPTY.with(Ability::Tools);
        let mut turns = ChatRequest::from_prompt("one");
        turns.messages.extend(ChatRequest::from_prompt("two").messages);
        log[4].record.prompt = full(&turns);
        let check = |newest: usize, wanted: &[&str]| {
            let found = from_log(&log, newest).unwrap();
            let texts: Vec<_> = found.asks.iter().map(|it| it.prompt.as_str()).collect();
            assert_eq!(texts, wanted);
            assert_eq!((found.without_text, found.beyond_table, found.unreadable), (2, 2, 0));
        };
        check(10, &["old", "twice", "new"]);
        check(2, &["twice", "new"]);
        let error = from_log(&log[6..].to_vec(), 10).unwrap_err().to_string();
        assert!(error.contains("prompts = \"full\"") && error.contains("2 decisions"), "{error}");
    }
}
