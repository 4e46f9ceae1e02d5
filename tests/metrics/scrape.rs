//! Reading `/metrics`.
//!
//! In: a server. Out: [`Scrape`]: every sample and every family. Invariant: a line that cannot be read
//! fails the test.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{House, http_client};

/// What was told.
pub(crate) struct Scrape {
    /// Value by `name{labels}`.
    samples: BTreeMap<String, f64>,
    /// Type by name.
    pub(crate) families: BTreeMap<String, String>,
}

impl Scrape {
    /// Asks a server.
    pub(crate) async fn of(house: &House) -> Self {
        let url = format!("http://{}/metrics", house.admin);
        let answer = http_client().get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Self::read(&answer.text().await.unwrap())
    }

    fn read(text: &str) -> Self {
        let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(of) = line.strip_prefix("# TYPE ") {
                let (name, kind) = of.split_once(' ').unwrap();
                assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert!(samples.insert(name.to_owned(), value).is_none(), "twice: {line}");
            }
        }
        Self { samples, families }
    }

    /// The sum of every sample of this name that has all these labels, written `label="value"`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let own = self.samples.iter().filter(|(key, _)| {
            let (its_name, its_labels) = key.split_once('{').unwrap_or((key, ""));
            let its_labels: Vec<_> = its_labels.trim_end_matches('}').split(',').collect();
            its_name == name && labels.iter().all(|it| its_labels.contains(it))
        });
        own.map(|(_, value)| value).sum()
    }

    /// Every value of a label.
    pub(crate) fn values(&self, label: &str) -> BTreeSet<String> {
        let start = format!("{label}=\"");
        let labels = self.samples.keys().flat_map(|it| it.split(['{', ',', '}']));
        let own = labels.filter_map(|it| it.strip_prefix(start.as_str()));
        own.map(|it| it.trim_end_matches('"').to_owned()).collect()
    }
}
