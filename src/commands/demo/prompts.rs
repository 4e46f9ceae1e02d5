//! The prompts of the demo, written for it: ten kinds of request, mixed.
//!
//! Out: requests as a client sends them. Invariant: none is from a data set that was trained on.

use crate::api::proto::{self, Role};
use crate::commands::client::turn;

/// A prompt and what kind it is.
pub(super) struct Prompt {
    pub(super) kind: &'static str,
    pub(super) request: proto::RouteRequest,
}

/// All of them, neighbours of different kinds.
pub(super) fn all() -> Vec<Prompt> {
    let simple = |(kind, text): (&'static str, &str)| said(kind, text);
    let mut all: Vec<Prompt> = SIMPLE.into_iter().map(simple).collect();
    let mut special = vec![
        tools("What will the weather be like in Tromsø on Friday, and do I need a coat?"),
        extraction(MINUTES),
        summary(REPORT),
        chat(),
        operated(),
        tools("Book the 7:40 train from Ghent to Cologne for two people, window seats."),
        extraction(INVOICE),
        summary(LETTER),
    ];
    // One special kind after every second simple one.
    let mut at = 2;
    while let Some(next) = special.pop() {
        all.insert(at.min(all.len()), next);
        at += 3;
    }
    all
}

fn said(kind: &'static str, text: &str) -> Prompt {
    let messages = vec![turn(Role::User, text)];
    Prompt { kind, request: proto::RouteRequest { messages, ..Default::default() } }
}

fn summary(text: &str) -> Prompt {
    said("summary", &format!("Sum this up in three sentences for someone in a hurry.\n\n{text}"))
}

fn tools(text: &str) -> Prompt {
    let mut prompt = said("tools", text);
    prompt.request.tools = vec![
        proto::Tool {
            name: "forecast".into(),
            description: "The weather at a place on a day.".into(),
            parameters: r#"{"type":"object","properties":{"place":{"type":"string"},"day":{"type":"string"}},"required":["place","day"]}"#.into(),
            strict: None,
        },
        proto::Tool {
            name: "book_train".into(),
            description: "Books seats on a train.".into(),
            parameters: r#"{"type":"object","properties":{"from":{"type":"string"},"to":{"type":"string"},"departs":{"type":"string"},"seats":{"type":"integer"}},"required":["from","to","departs","seats"]}"#.into(),
            strict: None,
        },
    ];
    prompt
}

fn extraction(text: &str) -> Prompt {
    let ask =
        "Give me who, what, by when and how much as a JSON object; null where it is not said.";
    let mut prompt = said("json", &format!("{ask}\n\n{text}"));
    let kind = proto::ResponseFormatKind::JsonObject.into();
    prompt.request.response_format = Some(proto::ResponseFormat { kind, ..Default::default() });
    prompt
}

fn chat() -> Prompt {
    let mut prompt = said("multi-turn", "And if we only have one oven tray?");
    let before = [
        turn(Role::User, "I have aubergines, feta and a tin of chickpeas. Dinner for four?"),
        turn(
            Role::Assistant,
            "Roast the aubergines in slices for 25 minutes, toss the chickpeas with paprika and add \
             them for the last ten, crumble the feta on top and serve with bread.",
        ),
    ];
    prompt.request.messages.splice(0..0, before);
    prompt
}

fn operated() -> Prompt {
    let mut prompt = said("system", "my parcel says delivered but theres nothing here???");
    let system = "You answer customers of a parcel service. Be brief and kind, never promise a \
                  refund, and always ask for the tracking number first.";
    prompt.request.messages.insert(0, turn(Role::System, system));
    prompt
}

const SIMPLE: [(&str, &str); 19] = [
    ("chit-chat", "Morning! Slept badly, coffee is doing its best. How are you?"),
    (
        "maths",
        "Let a, b and c be positive reals with a + b + c = 3. Prove that a/(b+1) + b/(c+1) + c/(a+1) is at least 3/2, and say when equality holds.",
    ),
    (
        "code",
        "Write a Rust function that merges overlapping half-open intervals given as Vec<(u64, u64)>, in O(n log n), with tests for touching, nested and empty intervals.",
    ),
    ("translate", "Translate into Portuguese: 'The ferry leaves at dawn, so pack tonight.'"),
    (
        "puzzle",
        "Four people cross a bridge at night with one torch; it holds two at a time. They need 1, 3, 6 and 11 minutes. What is the shortest time in which all get across, and why can it not be done faster?",
    ),
    ("chit-chat", "Suggest a name for a very lazy grey cat."),
    ("maths", "What is 17 % of 240?"),
    (
        "code",
        "This query is slow on 40 million rows: SELECT user_id, count(*) FROM events WHERE created_at > now() - interval '7 days' AND kind <> 'ping' GROUP BY user_id ORDER BY 2 DESC LIMIT 20. Which indexes would help on PostgreSQL, and how would I check?",
    ),
    (
        "translate",
        "Render in idiomatic English, keeping the dry tone: 'Die Sitzung dauerte vier Stunden, von denen dreieinhalb der Frage galten, wann die nächste stattfinden solle.'",
    ),
    (
        "puzzle",
        "Anna says: exactly one of us three lies. Ben says: exactly two of us lie. Cleo says: all three of us lie. Who tells the truth? Explain step by step.",
    ),
    ("facts", "In which year did the Suez Canal open?"),
    (
        "maths",
        "Find all integers n for which n^2 + 20n + 11 is a perfect square, with a full argument that there are no others.",
    ),
    (
        "code",
        "Our Kubernetes pods get SIGTERM, yet clients see connection resets during every rollout. Explain the race between endpoint removal and shutdown, and give the settings and the code changes that fix it.",
    ),
    ("translate", "How do you say 'where is the pharmacy' in Turkish?"),
    (
        "science",
        "Explain to a first-year student why the Haber process runs at 450 °C although the equilibrium favours lower temperatures, with the relevant thermodynamic and kinetic quantities.",
    ),
    ("chit-chat", "Thanks, that helped a lot. Have a nice weekend!"),
    (
        "writing",
        "Write a two-paragraph letter to the neighbours announcing scaffolding for six weeks, apologetic but not grovelling.",
    ),
    (
        "law",
        "A tenant in a jurisdiction with a three-month notice period gave notice by e-mail on 31 January although the lease demands a letter. Set out the arguments on both sides of whether the lease ends on 30 April.",
    ),
    ("facts", "Which is larger, a nautical mile or a kilometre, and by how much?"),
];

const MINUTES: &str = "Tuesday's meeting: Farid will get three offers for the new roof until the \
    14th; we can spend at most 38,000. Lise keeps looking for the missing keys.";

const INVOICE: &str = "Dear Ms Okafor, for the repair of two sash windows at 9 Mill Lane I charge \
    EUR 412.50 including materials. Please transfer within 14 days of today, 3 March. J. Brandt";

const LETTER: &str = "The allotment association met on Saturday in the usual shed, which leaks. \
    After the minutes had been read twice, because the first reading was drowned out by rain, the \
    treasurer reported a surplus of 212 euros, most of it from the plant sale in May, and proposed \
    to spend it on the roof. Mr Adeyemi thought that the water pump should come first, since three \
    plots at the far end have had no pressure since June and their owners carry water in cans. Ms \
    Lindqvist recalled that the pump had been repaired in both of the last two years by the same \
    firm, and asked for an offer from another one. A vote on roof against pump ended nine to nine, \
    whereupon the chair, who does not vote, suggested that a tarpaulin costs 40 euros and that the \
    pump's guarantee has not run out. This was carried with one abstention. Under other business \
    it was noted that the hedge on the north side may not be cut before the end of September, that \
    two keys are missing, and that the summer party will be on the 19th unless it rains.";

const REPORT: &str = "On the night of the 4th the ordering service rejected about one request in \
    six between 22:10 and 23:47. The first alert came from the payment provider, not from our own \
    monitoring, since the dashboard averages over an hour. The cause was a change of the connection \
    pool's size from 40 to 400, rolled out at 21:55 to relieve a queue that had built up during the \
    evening peak. The database accepts 500 connections in all; with three instances the pool could \
    ask for 1,200. Once the limit was reached, new connections were refused at random, and each \
    refusal was retried three times without a pause, which tripled the load on the part that was \
    already full. The engineer on call first suspected the certificate that had been renewed on \
    the same day and lost 35 minutes on it. Rolling back the pool's size at 23:20 did not help at \
    once, because the retries kept the database saturated; only after the retries were switched off \
    at 23:41 did the error rate fall, within six minutes. No order was lost, but 2,130 were placed \
    twice and had to be merged by hand on the following day. What went well: the rollback itself \
    took two minutes, and the customers' service was told early. What did not: there is no test \
    that compares the sum of all pools with the database's limit; retries have neither a budget nor \
    jitter; the dashboard hides anything shorter than an hour; and the runbook's first step, to \
    look at what changed, was skipped under pressure. Actions: a check in the deployment pipeline, \
    owner Priya, by the 15th; a retry budget of one in ten with jitter, owner Tomasz, by the 20th; \
    five-minute resolution on the dashboard, owner Helen, done; and a rehearsal of the runbook each \
    quarter, beginning in May, for which everyone on call sets aside two hours.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::proto::part::Content;

    fn words(of: &proto::RouteRequest) -> usize {
        let bytes = |it: &proto::Part| match &it.content {
            Some(Content::Text(text)) => text.len(),
            _ => 0,
        };
        of.messages.iter().flat_map(|it| &it.parts).map(bytes).sum()
    }

    #[test]
    fn there_are_many_kinds_and_neighbours_differ() {
        let all = all();
        let kinds: BTreeSet<_> = all.iter().map(|it| it.kind).collect();
        assert!(all.len() >= 24 && kinds.len() >= 10, "{} prompts, {kinds:?}", all.len());
        for pair in all.windows(2) {
            assert_ne!(pair[0].kind, pair[1].kind);
        }
        assert!(all.iter().all(|it| words(&it.request) > 10));
    }
}
