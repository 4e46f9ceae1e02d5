//! What is off unless the file says so.

use super::*;

#[test]
fn failures_are_forced_only_where_the_file_says_so() {
    let warned = |it: &Config| it.found.iter().any(|line| line.contains("allow_faults"));
    let allowed = good(&format!("{GOOD}\n[testing]\nallow_faults = true\n"));
    assert!(allowed.faults == FaultPolicy::Allowed && warned(&allowed));
    for text in ["", "\n[testing]\n", "\n[testing]\nallow_faults = false\n"] {
        let config = good(&format!("{GOOD}{text}"));
        assert!(config.faults == FaultPolicy::Refused && !warned(&config), "{text}");
    }
    let complaint = bad(&format!("{GOOD}\n[testing]\nallow_fault = true\n"));
    assert!(complaint.contains("did you mean `allow_faults`"), "{complaint}");
}

#[test]
fn outcomes_are_kept_for_ever_here_and_by_nobody_else_unless_the_file_says_so() {
    let unsaid = good(GOOD);
    assert!(unsaid.keeping.retention.is_forever() && unsaid.keeping.export.is_none());
    assert_eq!(unsaid.log.admin, OutcomeAccess::Refused);
    let text = GOOD.replace(
        "[outcomes]",
        "[export]\nto = \"s3://b/p\"\nevery = \"10m\"\n[outcomes]\nkeep_days = 90\n\
         keep_bytes = 20_000_000_000\nkeep_unexported = false\nadmin_calls = true",
    );
    assert_ne!(text, GOOD);
    let said = good(&text);
    let retention = &said.keeping.retention;
    assert_eq!(retention.keep, Some(Duration::from_secs(90 * 24 * 60 * 60)));
    assert_eq!(retention.bytes_max, Some(20_000_000_000));
    assert_eq!(said.keeping.hold_unexported, HoldUnexported::Delete);
    let every = Some(Duration::from_secs(600));
    assert_eq!(said.keeping.export, Some(ExportPlan { to: "s3://b/p".into(), every }));
    assert_eq!(said.log.admin, OutcomeAccess::Allowed);
    assert!(said.found.iter().any(|it| it.contains("admin_calls")));
    let complain = |from: &str, to: &str, wanted: &str| {
        let complaint = bad(&text.replace(from, to));
        assert!(complaint.contains(wanted), "{complaint}");
    };
    complain("keep_days = 90", "keep_days = 0", "from 1 to 36500");
    complain("20_000_000_000", "1000", "from 1048576");
    complain("\"10m\"", "\"10ms\"", "10ms");
    complain("to = \"s3://b/p\"", "", "`to` is missing");
}

#[test]
fn scores_are_learned_from_only_where_the_file_says_so() {
    let learning = |text: &str| good(&format!("{GOOD}{text}")).learning;
    assert_eq!(learning("\n[learning]\nonline = true\n"), Learning::Online);
    for text in ["", "\n[learning]\n", "\n[learning]\nonline = false\n"] {
        assert_eq!(learning(text), Learning::Off, "{text}");
    }
    let complaint = bad("[learning]\nonlin = true\n[[provider]]\nname = \"openai\"\n");
    assert!(complaint.contains("learning.onlin") && complaint.contains("`online`"), "{complaint}");
}
