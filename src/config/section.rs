//! Reading a TOML table key by key, so that every problem is found and not only the first.
//!
//! In: a parsed table whose keys and values know where they stand. Out: [`Field`]s, and problems in
//! the [`Ledger`]. Invariant: a key that nobody asked for is reported by [`Section::done`]. Not here:
//! what the values mean (see [`super::values`]).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::problems::{Fault, Place, Problem, nearest};

/// Keys under which people write secrets.
const SECRET_KEYS: [&str; 5] = ["api_key", "apikey", "key", "token", "secret"];

/// The file's text and what was found wrong with it so far.
pub(super) struct Ledger<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, problems: RefCell::default() }
    }

    pub(super) fn report(&self, place: &Place, fault: Fault) {
        self.problems.borrow_mut().push(Problem { place: place.clone(), fault });
    }

    pub(super) fn place(&self, path: String, span: &Range<usize>) -> Place {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        Place { path, line: Some(1 + before.iter().filter(|it| **it == b'\n').count()) }
    }

    pub(super) fn problems(&self) -> usize {
        self.problems.borrow().len()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What stands under a key. `Bad` was reported already and must not be reported again as missing.
#[derive(Debug, Clone, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Bad,
    Given(At<T>),
}

impl<T> Field<T> {
    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(at) => Some(at.value),
            Self::Absent | Self::Bad => None,
        }
    }

    pub(super) fn as_given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Bad => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Puts the value over a default, if there is one.
    pub(super) fn fill(self, target: &mut T) {
        if let Some(value) = self.given() {
            *target = value;
        }
    }

    /// As [`Field::fill`], for what has no default.
    pub(super) fn fill_some(self, target: &mut Option<T>) {
        if let Some(value) = self.given() {
            *target = Some(value);
        }
    }
}

/// One table of the file.
pub(super) struct Section<'a> {
    pub(super) place: Place,
    ledger: &'a Ledger<'a>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(ledger: &'a Ledger<'a>, place: Place, table: &'a DeTable<'a>) -> Self {
        Self { place, ledger, table, asked: Vec::new() }
    }

    /// Reports something about this section as a whole.
    pub(super) fn report(&self, fault: Fault) {
        self.ledger.report(&self.place, fault);
    }

    /// Reports something about a place in it.
    pub(super) fn report_at(&self, place: &Place, fault: Fault) {
        self.ledger.report(place, fault);
    }

    fn path(&self, key: &str) -> String {
        let prefix = &self.place.path;
        if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
    }

    fn ask(&mut self, key: &'static str) -> Option<At<&'a DeValue<'a>>> {
        self.asked.push(key);
        let (written, value) = self.table.get_key_value(key)?;
        let place = self.ledger.place(self.path(key), &written.span());
        Some(At { value: value.get_ref(), place })
    }

    fn accept<T>(&self, place: Place, read: Result<T, Fault>) -> Field<T> {
        match read {
            Ok(value) => Field::Given(At { value, place }),
            Err(fault) => {
                self.ledger.report(&place, fault);
                Field::Bad
            }
        }
    }

    /// One value.
    pub(super) fn field<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Field<T> {
        match self.ask(key) {
            None => Field::Absent,
            Some(at) => self.accept(at.place, read(at.value)),
        }
    }

    /// One value, without which the section means nothing.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        why: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Field<T> {
        let field = self.field(key, read);
        if field.is_absent() {
            self.report(Fault::Missing { key, why });
            return Field::Bad;
        }
        field
    }

    /// An array of values; each that is wrong is reported and left out.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Field<Vec<At<T>>> {
        let Some(at) = self.ask(key) else { return Field::Absent };
        let DeValue::Array(array) = at.value else {
            return self.accept(at.place, Err(wrong("an array", at.value)));
        };
        let mut values = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let place = self.ledger.place(format!("{}[{index}]", at.place.path), &item.span());
            match self.accept(place, read(item.get_ref())) {
                Field::Given(value) => values.push(value),
                Field::Absent | Field::Bad => {}
            }
        }
        Field::Given(At { value: values, place: at.place })
    }

    /// A table inside this one.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let at = self.ask(key)?;
        match at.value {
            DeValue::Table(table) => Some(Section::new(self.ledger, at.place, table)),
            other => {
                self.ledger.report(&at.place, wrong("a table", other));
                None
            }
        }
    }

    /// A table inside this one, read into one value; bad when any of it is.
    pub(super) fn nested<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&mut Section<'a>) -> Option<T>,
    ) -> Field<T> {
        let before = self.ledger.problems();
        let Some(mut section) = self.section(key) else {
            return if self.ledger.problems() == before { Field::Absent } else { Field::Bad };
        };
        let value = read(&mut section);
        let place = section.place.clone();
        section.done();
        match value {
            Some(value) => Field::Given(At { value, place }),
            None => Field::Bad,
        }
    }

    /// The tables of an array, `[[key]]`.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(at) = self.ask(key) else { return Vec::new() };
        let DeValue::Array(array) = at.value else {
            self.ledger.report(&at.place, wrong("tables in double brackets, [[...]]", at.value));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let place = self.ledger.place(format!("{}[{index}]", at.place.path), &item.span());
            match item.get_ref() {
                DeValue::Table(table) => sections.push(Section::new(self.ledger, place, table)),
                other => self.ledger.report(&place, wrong("a table", other)),
            }
        }
        sections
    }

    /// Every key of this table, whatever it is called, with its value; what is wrong is reported and
    /// left out.
    pub(super) fn entries<K: Ord, T>(
        self,
        name: impl Fn(&DeValue<'_>) -> Result<K, Fault>,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> BTreeMap<K, T> {
        let mut entries = BTreeMap::new();
        for (written, value) in self.table {
            let key = written.get_ref();
            let place = self.ledger.place(self.path(key), &written.span());
            let named = name(&DeValue::String(key.clone()));
            let pair = named.and_then(|name| Ok((name, read(value.get_ref())?)));
            if let Some((name, value)) = self.accept(place, pair).given() {
                entries.insert(name, value);
            }
        }
        entries
    }

    /// Reports every key that was not asked for.
    pub(super) fn done(self) {
        for written in self.table.keys() {
            let key = written.get_ref().as_ref();
            if self.asked.contains(&key) {
                continue;
            }
            let place = self.ledger.place(self.path(key), &written.span());
            let secret = self.asked.contains(&"api_key_env") && SECRET_KEYS.contains(&key);
            let password = self.asked.contains(&"password_env") && key == "password";
            let unknown =
                || Fault::UnknownKey { nearest: nearest(key, self.asked.iter().copied()) };
            let fault = match (secret, password) {
                (true, _) => Fault::LiteralKey,
                (false, true) => Fault::LiteralPassword,
                (false, false) => unknown(),
            };
            self.ledger.report(&place, fault);
        }
    }
}

/// Another kind of value was expected.
pub(super) fn wrong(wanted: &'static str, found: &DeValue<'_>) -> Fault {
    Fault::WrongType { wanted, found: found.type_str() }
}
