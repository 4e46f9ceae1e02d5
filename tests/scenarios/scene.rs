//! What a scene is: a row of the table, played in one way.
//!
//! In: a [`Row`]. Out: its [`Scene`]s. The first of a row's protocols plays everything; the others
//! play the first model failing always, whole and streamed.

use pointsman::domain::Billing;
use pointsman::simulator::Fault;

/// Protocols that first models speak.
pub(crate) const PROTOCOLS: [&str; 5] = ["openai", "anthropic", "gemini", "ollama", "bedrock"];
/// Those whose models, under the names they have here, go on with a begun answer.
const GO_ON: [&str; 4] = ["openai", "anthropic", "gemini", "ollama"];
/// The models of a scene: the first, the second, the third, and one that is over and above them.
pub(crate) const LETTERS: [char; 4] = ['A', 'B', 'C', 'D'];

/// Enough for one answer of a dear model, not for two: some 120 tokens are expected.
const DEAR_CAP_USD: f64 = 0.2;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cause {
    /// The provider misbehaves.
    Fault(Fault),
    /// There is no provider.
    NothingListens,
    /// The provider's protocol cannot say it.
    ImageByUrl,
}

/// What the caller or the operator wants besides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wish {
    Nothing,
    /// The fourth model is a last resort.
    LastResort,
    /// All models have the same window.
    SameWindow,
    /// A filtered answer goes on to the next.
    PastFilters,
    /// Everything within so many milliseconds.
    Deadline(f64),
    /// The second model costs more than the caller gives.
    Cap,
    /// One answer of any model uses up what the caller gives.
    Dear,
    /// Nobody tells usage in a stream.
    NoUsage,
}

/// How a scene ends that does not end in an answer: as HTTP says it, and as gRPC does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// An error before any content.
    Told(&'static str, &'static str),
    /// An error after content that nobody could go on with.
    Broken(&'static str, &'static str),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) class: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) fault: Cause,
    pub(crate) walks: [&'static str; 3],
    pub(crate) end: End,
    pub(crate) wish: Wish,
    pub(crate) ways: &'static [Way],
    pub(crate) protocols: &'static [&'static str],
}

impl Row {
    pub(crate) fn new(
        class: &'static str,
        cause: &'static str,
        fault: Cause,
        walks: [&'static str; 3],
        end: End,
    ) -> Self {
        let (wish, ways) = (Wish::Nothing, &[Way::Whole, Way::Stream]);
        Self { class, cause, fault, walks, end, wish, ways, protocols: &PROTOCOLS }
    }

    pub(crate) fn wish(self, wish: Wish) -> Self {
        Self { wish, ..self }
    }

    pub(crate) fn only(self, way: Way) -> Self {
        let ways: &[Way] = match way {
            Way::Whole => &[Way::Whole],
            Way::Stream => &[Way::Stream],
        };
        Self { ways, ..self }
    }

    pub(crate) fn only_from(self, protocols: &'static [&'static str]) -> Self {
        Self { protocols, ..self }
    }
}

/// Who fails, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Once,
    Always,
    All,
}

impl Pattern {
    pub(crate) const ALL: [Self; 3] = [Self::Once, Self::Always, Self::All];
}

/// How an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Whole,
    Stream,
}

/// How a caller reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Grpc,
    Http,
}

/// One play of a row.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) row: Row,
    pub(crate) pattern: Pattern,
    pub(crate) way: Way,
    pub(crate) face: Face,
    /// Of the first model.
    pub(crate) protocol: &'static str,
    /// Its own: it names the models.
    pub(crate) number: usize,
}

/// Most scenes of a row.
const ROW_SCENES_MAX: usize = 100;

/// Every scene of the row with this number.
pub(crate) fn scenes(at: usize, row: Row) -> Vec<Scene> {
    let mut found = Vec::new();
    let mut add = |pattern: Pattern, way, face, protocol| {
        if !row.walks[pattern as usize].is_empty() {
            let number = at * ROW_SCENES_MAX + found.len();
            found.push(Scene { row, pattern, way, face, protocol, number });
        }
    };
    for way in row.ways {
        for face in [Face::Grpc, Face::Http] {
            for pattern in Pattern::ALL {
                add(pattern, *way, face, row.protocols[0]);
            }
        }
        for (at, protocol) in row.protocols.iter().enumerate().skip(1) {
            let face = [Face::Grpc, Face::Http][at % 2];
            add(Pattern::Always, *way, face, protocol);
        }
    }
    found
}

impl Scene {
    /// The calls that are to be made, and whether they end in an error.
    pub(crate) fn walk(&self) -> (String, bool) {
        let walk = self.row.walks[self.pattern as usize];
        let (walk, fails) = walk.strip_suffix('!').map_or((walk, false), |it| (it, true));
        match self.row.end {
            End::Told(..) => (walk.to_owned(), fails),
            End::Broken(..) => (self.gone_on_with(walk), fails),
        }
    }

    /// The calls where only those who can go on with a begun answer are asked to: in place of one
    /// that cannot, the next that can.
    fn gone_on_with(&self, walk: &str) -> String {
        let twice = self.row.walks[0] == "AA";
        let able = LETTERS[..3].iter().filter(|it| GO_ON.contains(&self.speaks(**it)));
        let mut calls: Vec<char> = able.flat_map(|it| vec![*it; 1 + usize::from(twice)]).collect();
        if !GO_ON.contains(&self.speaks('A')) {
            calls.insert(0, 'A');
        }
        let end = match self.pattern {
            Pattern::Once => 2,
            Pattern::Always => calls.iter().take_while(|it| **it == 'A').count() + 1,
            Pattern::All => calls.len(),
        };
        assert!(walk.starts_with('A'), "{walk}");
        calls.into_iter().take(end).collect()
    }

    /// Whose words the models of this scene say: one of them goes on with what another began.
    pub(crate) fn voice(&self) -> Option<String> {
        matches!(self.row.end, End::Broken(..)).then(|| format!("scene {}", self.number))
    }

    /// What the caller of this face is told when it ends in the row's error.
    pub(crate) fn error(&self) -> &'static str {
        let (End::Told(http, grpc) | End::Broken(http, grpc)) = self.row.end;
        match self.face {
            Face::Http => http,
            Face::Grpc => grpc,
        }
    }

    /// A model of this scene, here and at its provider.
    pub(crate) fn model(&self, letter: char) -> String {
        let (class, letter) = (self.row.class.replace('_', "-"), letter.to_ascii_lowercase());
        format!("{class}-{}-{letter}", self.number)
    }

    /// The letter of a deployment.
    pub(crate) fn letter(&self, deployment: &str) -> char {
        let model = deployment.split('@').next().unwrap_or_default();
        LETTERS.into_iter().find(|it| self.model(*it) == model).unwrap_or('?')
    }

    /// Who misbehaves.
    pub(crate) fn fails(&self, letter: char) -> bool {
        match self.pattern {
            Pattern::Once | Pattern::Always => letter == 'A',
            // The second is never called: it costs too much.
            Pattern::All if self.row.wish == Wish::Cap => matches!(letter, 'A' | 'C'),
            Pattern::All => letter != 'D',
        }
    }

    /// What a model of this scene speaks; neighbours differ.
    pub(crate) fn speaks(&self, letter: char) -> &'static str {
        let at = LETTERS.iter().position(|it| *it == letter).unwrap_or_default();
        if self.row.fault == Cause::ImageByUrl {
            let fails = ["ollama", "bedrock", "ollama", "bedrock"];
            return if self.fails(letter) { fails[at] } else { "openai" };
        }
        let first = PROTOCOLS.iter().position(|it| *it == self.protocol).unwrap_or_default();
        PROTOCOLS[(first + at) % PROTOCOLS.len()]
    }

    /// What is asked; no two scenes of a server ask the same.
    pub(crate) fn prompt(&self) -> String {
        format!("Say which train leaves first, please. Case {} of {}.", self.number, self.row.cause)
    }

    /// USD per million input and output tokens.
    pub(crate) fn price(&self, letter: char) -> (f64, f64) {
        match letter {
            'B' if self.row.wish == Wish::Cap => (1_000.0, 1_000.0),
            _ if self.row.wish == Wish::Cap => (0.01, 0.01),
            // A thousandth of a dollar for one token.
            _ if self.row.wish == Wish::Dear => (1_000.0, 1_000.0),
            'A' => (3.0, 15.0),
            'B' => (0.5, 2.0),
            'C' => (0.1, 0.4),
            _ => (0.05, 0.1),
        }
    }

    /// What the model's provider bills of calls that fail; neighbours differ.
    pub(crate) fn billing(&self, letter: char) -> Billing {
        if self.row.wish == Wish::Dear {
            return Billing::WholeAnswer;
        }
        let at = LETTERS.iter().position(|it| *it == letter).unwrap_or_default();
        Billing::ALL[(self.number + at) % Billing::ALL.len()]
    }

    /// What the caller gives at most, USD.
    pub(crate) fn cap_usd(&self) -> Option<f64> {
        match self.row.wish {
            Wish::Cap => Some(0.001),
            Wish::Dear => Some(DEAR_CAP_USD),
            _ => None,
        }
    }

    /// The caller's own limit, milliseconds.
    pub(crate) fn limit_ms(&self) -> Option<f64> {
        match self.row.wish {
            Wish::Deadline(ms) => Some(ms),
            _ => None,
        }
    }

    /// Which scene it is, in words.
    pub(crate) fn name(&self) -> String {
        let Self { row, pattern, way, face, protocol, .. } = self;
        format!("{}: {} ({protocol}, {way:?}, {face:?}, {pattern:?})", row.class, row.cause)
    }
}
