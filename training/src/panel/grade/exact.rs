//! An answer is right if it says what the reference says.
//!
//! In: an answer and the right one. Out: right or wrong. Invariant: pure. The rule, in full: both are
//! made lower case; words are what white space divides; of each word the punctuation at its ends is
//! dropped (but a sign before a digit stays); the articles `a`, `an` and `the` are dropped. That is the
//! normalisation of SQuAD (Rajpurkar et al. 2016), which drops punctuation inside words too, and so cannot
//! tell 3.5 from 35. An answer is right if it equals the reference as a whole, or in its last line that is
//! not blank, or in what follows the last `:` of that line, or in its last `\boxed{...}`: models explain
//! before they answer. Not here: answers that mean the same in other words.

/// Whether an answer is right.
pub fn is_right(answer: &str, reference: &str) -> bool {
    let wanted = normal(reference);
    if wanted.is_empty() {
        return answer.trim() == reference.trim();
    }
    let last = answer.lines().rfind(|it| !it.trim().is_empty()).unwrap_or_default();
    let behind_colon = last.rsplit_once(':').map(|it| it.1);
    let mut places = [Some(answer), Some(last), behind_colon, boxed(answer)].into_iter().flatten();
    places.any(|it| normal(it) == wanted)
}

/// What is compared of a text.
fn normal(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split_whitespace().map(bare);
    let counts = |it: &&str| !it.is_empty() && !["a", "an", "the"].contains(it);
    words.filter(counts).map(str::to_owned).collect()
}

/// A word without the punctuation at its ends.
fn bare(word: &str) -> &str {
    let inner = |it: char| it.is_alphanumeric();
    let (Some(start), Some(end)) = (word.find(inner), word.rfind(inner)) else { return "" };
    let end = end + word[end..].chars().next().map_or(0, char::len_utf8);
    // -5 and .5 are not 5.
    let digit = word[start..].starts_with(|it: char| it.is_ascii_digit());
    let signs = word[..start].trim_end_matches(['-', '.', '\u{2212}']);
    &word[if digit { signs.len() } else { start }..end]
}

/// What stands in the last `\boxed{...}`, braces within it counted.
fn boxed(text: &str) -> Option<&str> {
    let inside = &text[text.rfind("\\boxed{")? + "\\boxed{".len()..];
    let mut depth = 0_u32;
    for (at, it) in inside.char_indices() {
        match it {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(&inside[..at]),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_the_same() {
        let check = |answer: &str, reference: &str, wanted: bool| {
            assert_eq!(is_right(answer, reference), wanted, "{answer:?} {reference:?}");
        };
        check("Paris", "paris", true);
        check("  The  Eiffel\nTower. ", "Eiffel tower", true);
        check("(B)", "B", true);
        check("B) because it is so", "B", false);
        check("First I add.\nThen I halve.\n\n**Answer: 42.**\n", "42", true);
        check("It is 42 or so", "42", false);
        check("so we get \\boxed{\\frac{1}{2}} \nas shown", "\\frac{1}{2}", true);
        check("\\boxed{1} and \\boxed{2", "1", false);
        check("35", "3.5", false);
        check("-5", "5", false);
        check("$-5$", "-5", true);
        check("0.5", ".5", false);
        check("ÄPFEL!", "äpfel", true);
        check("", "x", false);
        check("!", "?", false);
        check("?", "?", true);
        check("don't", "dont", false);
    }
}
