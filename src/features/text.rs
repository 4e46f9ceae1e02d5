//! Counts over the last user turn: one pass over its bytes, one over its words.
//!
//! In: the turn's texts. Out: [`TextCounts`]. Invariant: at most [`READ_BYTES_MAX`] bytes of each
//! text are looked at, half from each end, so that a prompt of megabytes costs no more than one of
//! some pages; sizes are still those of the whole.

use super::{flag, log};

/// 64 KiB holds 99.9 % of the prompts in the training data whole, and takes some 100 us to read.
const READ_BYTES_MAX: usize = 64 << 10;
/// How many of the text's features there are.
const TEXT_FEATURES: usize = 24;
/// Substrings that rarely stand in prose and nearly always in code.
const CODE_MARKS: [&str; 10] = [
    "```", "def ", "return ", "();", "=> ", "#include", "import ", "class ", "function", "assert ",
];

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct TextCounts {
    total_bytes: usize,
    read_bytes: usize,
    words: usize,
    word_bytes: usize,
    repeated: usize,
    digits: usize,
    upper: usize,
    punctuation: usize,
    chars: usize,
    non_ascii: usize,
    wide: usize,
    lines: usize,
    numbers: usize,
    longest_number: usize,
    maths: usize,
    latex: usize,
    code: usize,
    brackets: usize,
    options: usize,
    questions: usize,
    quotes: usize,
    commas: usize,
    ands: usize,
    blanks: usize,
    answers: usize,
    ends_open: bool,
}

impl TextCounts {
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        let mut seen = WordSet::default();
        for text in texts {
            counts.total_bytes += text.len();
            let (head, tail) = ends(text, READ_BYTES_MAX);
            for part in [head, tail] {
                counts.read_bytes += part.len();
                counts.count_bytes(part.as_bytes());
                counts.count_chars(part);
                counts.count_words(part, &mut seen);
                counts.count_lines(part);
            }
            let last = text.trim_end().bytes().last();
            counts.ends_open = matches!(last, Some(b':' | b'_' | b'>' | b'='));
        }
        counts
    }

    fn count_bytes(&mut self, bytes: &[u8]) {
        let mut number = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if byte.is_ascii_digit() {
                self.digits += 1;
                number += 1;
                self.numbers += usize::from(number == 1);
                self.longest_number = self.longest_number.max(number);
                continue;
            }
            number = 0;
            self.upper += usize::from(byte.is_ascii_uppercase());
            self.punctuation += usize::from(byte.is_ascii_punctuation());
            match byte {
                b'+' | b'-' | b'*' | b'/' | b'^' | b'=' | b'<' | b'>' | b'%' => self.maths += 1,
                b'\\' | b'$' => self.latex += 1,
                b'{' | b'}' | b'[' | b']' | b'(' | b')' => self.brackets += 1,
                b'?' => self.questions += 1,
                b'"' | b'\'' => self.quotes += 1,
                b',' => self.commas += 1,
                b'_' => {
                    self.blanks +=
                        usize::from(bytes.get(at + 1).is_none_or(|it| !it.is_ascii_alphanumeric()))
                }
                _ => {}
            }
        }
    }

    fn count_chars(&mut self, text: &str) {
        if text.is_ascii() {
            self.chars += text.len();
            return;
        }
        for character in text.chars() {
            self.chars += 1;
            self.non_ascii += usize::from(!character.is_ascii());
            // CJK, kana and hangul: scripts whose characters carry a word or a syllable each.
            self.wide +=
                usize::from(matches!(character, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'));
        }
    }

    fn count_words(&mut self, text: &str, seen: &mut WordSet) {
        for word in text.split_ascii_whitespace() {
            self.words += 1;
            self.word_bytes += word.len();
            self.repeated += usize::from(!seen.insert(word));
            self.ands += usize::from(matches!(word, "and" | "And" | "also" | "then" | "each"));
            self.answers +=
                usize::from(matches!(word, "Answer:" | "answer" | "Answer" | "Question:" | "only"));
        }
        self.code += CODE_MARKS.iter().map(|it| usize::from(text.contains(it))).sum::<usize>();
    }

    fn count_lines(&mut self, text: &str) {
        for line in text.lines() {
            self.lines += 1;
            let line = line.trim_start().trim_start_matches('(').as_bytes();
            let option = matches!(line, [b'A'..=b'J' | b'a'..=b'j', b'.' | b')' | b':', ..]);
            self.options += usize::from(option);
        }
    }

    /// The first features of [`super::NAMES`].
    pub(super) fn values(&self) -> [f32; TEXT_FEATURES] {
        let share = |count: usize, of: usize| count as f32 / of.max(1) as f32;
        [
            log(self.total_bytes),
            // Words of the part that was read, scaled to the whole.
            log(self.words * self.total_bytes / self.read_bytes.max(1)),
            share(self.word_bytes, self.words).min(40.0),
            share(self.digits, self.read_bytes),
            share(self.upper, self.read_bytes),
            share(self.punctuation, self.read_bytes),
            share(self.non_ascii, self.chars),
            share(self.wide, self.chars),
            log(self.lines),
            log(self.numbers),
            share(self.maths, self.read_bytes),
            log(self.latex),
            self.code as f32,
            log(self.brackets),
            self.options.min(12) as f32,
            log(self.questions),
            flag(self.ends_open),
            log(self.quotes),
            log(self.commas),
            log(self.ands),
            log(self.blanks),
            share(self.repeated, self.words),
            log(self.answers),
            log(self.longest_number),
        ]
    }
}

/// The two ends of a text, each at most half of `bytes_max`, cut between characters.
pub(super) fn ends(text: &str, bytes_max: usize) -> (&str, &str) {
    if text.len() <= bytes_max {
        return (text, "");
    }
    let head = text.floor_char_boundary(bytes_max / 2);
    let tail = text.ceil_char_boundary(text.len() - bytes_max / 2);
    (&text[..head], &text[tail..])
}

/// Which words were seen, by a hash into 4,096 bits: exact enough for a share, and no allocation.
struct WordSet([u64; 64]);

impl Default for WordSet {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl WordSet {
    /// Whether the word is new.
    fn insert(&mut self, word: &str) -> bool {
        let hash = word
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let bit = (hash >> 20) as usize;
        let mask = 1 << (bit % 64);
        let fresh = self.0[bit / 64] & mask == 0;
        self.0[bit / 64] |= mask;
        fresh
    }
}
