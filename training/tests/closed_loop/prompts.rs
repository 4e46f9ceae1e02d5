//! A few hundred prompts of six kinds, made of templates.
//!
//! In: nothing. Out: texts with their kind. Invariant: no two are alike; no text is anybody's.

/// Kinds of prompts.
pub(crate) const KINDS: usize = 6;
/// Prompts of each kind.
pub(crate) const EACH: usize = 60;

const THINGS: [&str; 10] = [
    "river", "clock", "orchard", "lantern", "harbour", "violin", "glacier", "kettle", "bridge",
    "fox",
];
const PLACES: [&str; 6] = ["Lisbon", "Kyoto", "Quito", "Tromso", "Nairobi", "Adelaide"];

/// Every prompt with its kind.
pub(crate) fn all() -> Vec<(usize, String)> {
    let of = |kind| (0..EACH).map(move |at| (kind, text(kind, at)));
    (0..KINDS).flat_map(of).collect()
}

fn text(kind: usize, at: usize) -> String {
    let (thing, place) = (THINGS[at % THINGS.len()], PLACES[at / THINGS.len() % PLACES.len()]);
    let (a, b) = (17 + 13 * at, 3 + at % 11);
    match kind {
        0 => format!(
            "Compute ({a} * {b} - {at}) / {b} and round it to two decimals. Then find x with \
             {b}x + {a} = {}. Show each step.",
            a * 7
        ),
        1 => format!(
            "```python\ndef {thing}_{at}(items):\n    total = {b}\n    for it in items:\n        \
             total += it.{thing}\n    return total\n```\nThis function raises AttributeError when a \
             {thing} is None. Fix it and write a unit test."
        ),
        2 => format!(
            "Write a poem of {b} stanzas about a {thing} that dreams of {place}, in a wistful tone \
             and with rhymes."
        ),
        3 => format!(
            "Return only JSON with the keys name, city, quantity: \"Order {a}: {b} pieces of {thing} \
             for the shop in {place}, to be delivered on Monday.\""
        ),
        4 => format!(
            "Which of these is true of a {thing} in {place}?\nA) It was first described in {}.\n\
             B) It weighs {b} kg.\nC) It is older than {a} years.\nD) None of these.\nAnswer with \
             one letter.",
            1500 + at
        ),
        _ => format!(
            "Traduis en francais: the old {thing} near the station of {place} was closed for {b} \
             weeks, and nobody in the town knew why."
        ),
    }
}
