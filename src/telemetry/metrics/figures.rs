//! The figures of `/metrics` one by one.
//!
//! In: the exposition text itself. Out: [`Figures`]: sums by name and label. Invariant: whatever stands
//! here equals `/metrics` at the same moment, since it is read from the same text.

use std::collections::BTreeMap;

/// Every sample at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures(Vec<Sample>);

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Figures {
    /// Reads an exposition. A line that is no sample is left out; we write none.
    pub(super) fn read(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The sum of all samples of this name with these labels; `name` as it stands in `/metrics`.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|it| it.value).sum()
    }

    /// The same, for each value of one label.
    pub fn by(&self, name: &str, label: &str, labels: &[(&str, &str)]) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for it in self.of(name, labels) {
            if let Some((_, of)) = it.labels.iter().find(|(key, _)| key == label) {
                *sums.entry(of.clone()).or_insert(0.0) += it.value;
            }
        }
        sums
    }

    fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Sample> {
        let has = |it: &Sample, (key, value): &(&str, &str)| {
            it.labels.iter().any(|(own, of)| own == key && of == value)
        };
        let own = self.0.iter().filter(move |it| it.name == name);
        own.filter(move |it| labels.iter().all(|wanted| has(it, wanted)))
    }
}

/// `name{label="value",...} number`.
fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (key, value) = line.rsplit_once(' ')?;
    let (name, inside) = key.split_once('{').unwrap_or((key, ""));
    let labels = labels(inside.strip_suffix('}').unwrap_or(inside));
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// Values are quoted; a quote, a backslash or a line's end in them stands behind a backslash.
fn labels(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some((key, quoted)) = rest.split_once("=\"") {
        let (mut value, mut letters) = (String::new(), quoted.char_indices());
        rest = "";
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => break,
                },
                '"' => {
                    rest = &quoted[at + 1..];
                    break;
                }
                other => value.push(other),
            }
        }
        found.push((key.trim_start_matches(',').to_owned(), value));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_their_labels() {
        let text = "# TYPE a counter\na_total{x=\"1\",y=\"p q\"} 2\na_total{x=\"1\",y=\"r\"} 3.5\n\
                    a_total{x=\"2\",y=\"r\"} 4\na 7\nnothing\n";
        let figures = Figures::read(text);
        let check = |name: &str, labels: &[(&str, &str)], wanted: f64| {
            assert_eq!(figures.sum(name, labels), wanted, "{name} {labels:?}");
        };
        check("a_total", &[], 9.5);
        check("a_total", &[("x", "1")], 5.5);
        check("a_total", &[("x", "1"), ("y", "p q")], 2.0);
        check("a_total", &[("z", "1")], 0.0);
        check("a", &[], 7.0);
        let wanted = [("p q".to_owned(), 2.0), ("r".to_owned(), 7.5)].into();
        assert_eq!(figures.by("a_total", "y", &[]), wanted);
    }

    #[test]
    fn what_stands_behind_a_backslash_is_itself() {
        let wanted = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
        };
        let check = |text: &str, pairs: &[(&str, &str)]| assert_eq!(labels(text), wanted(pairs));
        check(r#"a="x\"y",b="\\",c="1\n2""#, &[("a", "x\"y"), ("b", "\\"), ("c", "1\n2")]);
        check(r#"a="},=""#, &[("a", "},=")]);
        check("", &[]);
        check(r#"a="cut\"#, &[("a", "cut")]);
    }
}
