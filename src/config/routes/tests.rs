//! What can be written, and what is told of what cannot.

use crate::config::{Config, from_toml};
use crate::ranking::route::Node;

const FLEET: &str = r#"
[[provider]]
name = "one"
protocol = "openai"
base_url = "http://127.0.0.1:9"

[[model]]
name = "a"
context_window = 8000
[[model.deployment]]
provider = "one"
model_id = "a"
price = { input = 1, output = 1 }

[[model]]
name = "b"
context_window = 8000
[[model.deployment]]
provider = "one"
model_id = "b"
price = { input = 1, output = 1 }
"#;

fn read(text: &str) -> Result<Config, String> {
    from_toml(&format!("{FLEET}{text}"), &|_| None).map_err(|it| it.to_string())
}

/// The only problem has this path and these words.
fn wrong(text: &str, path: &str, words: &str) {
    let told = read(text).err().unwrap_or_else(|| panic!("nothing is wrong with {text}"));
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with(path) && told.contains(words), "{told}");
}

#[test]
fn a_route_is_written_nested_or_by_names() {
    let nested = r#"
        [[route]]
        name = "r"
        strategy = "fallback"
        on = [429, "5xx"]
        timeout = "9s"
        [[route.target]]
        strategy = "loadbalance"
        [[route.target.target]]
        model = "a"
        weight = 3
        [[route.target.target]]
        model = "b"
        weight = 0
        [[route.target]]
        model = "b"
        timeout = "5s"
    "#;
    let named = r#"
        [[route]]
        name = "r"
        strategy = "fallback"
        on = [429, "5xx"]
        timeout = "9s"
        target = [
            { name = "target 1", route = "weights" },
            { model = "b", timeout = "5s" },
        ]
        [[route]]
        name = "weights"
        strategy = "loadbalance"
        target = [{ model = "a", weight = 3 }]
    "#;
    let root = |text: &str| {
        let config = read(text).unwrap_or_else(|it| panic!("{it}"));
        config.routes.named["r"].root.clone()
    };
    assert_eq!(root(nested), root(named));
    let Node::Fallback(steps) = root(nested) else { panic!("no fallback") };
    let Node::Loadbalance(shares) = &steps[0].leg.node else { panic!("no load balance") };
    let Node::Target(target) = &shares[0].leg.node else { panic!("no target") };
    assert_eq!(target.terms.timeout.unwrap().as_secs(), 9, "handed down");
}

#[test]
fn a_default_route_is_looked_up() {
    let policy = "[policy]\nroute = \"r\"\n";
    let route = "[[route]]\nname = \"r\"\nmodel = \"a\"\n";
    let config = read(&format!("{policy}{route}")).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config.routes.default, config.routes.named.values().next().cloned());
    wrong(&policy.replace("\"r\"", "\"q\""), "policy.route", "unknown route `q`");
}

#[test]
fn every_mistake_has_its_place() {
    let route = |rest: &str| format!("[[route]]\nname = \"r\"\n{rest}");
    let target = |strategy: &str, rest: &str| {
        route(&format!("strategy = \"{strategy}\"\n[[route.target]]\n{rest}"))
    };
    wrong(&route("model = \"aa\""), "route[0].model", "unknown model `aa`");
    wrong(&route("deployment = \"a@two\""), "route[0].deployment", "unknown deployment");
    wrong(&route(""), "route[0]", "needs just one of `model`");
    wrong(&route("model = \"a\"\nroute = \"s\""), "route[0]", "needs just one of");
    wrong(&route("route = \"s\""), "route[0].route", "unknown route `s`");
    wrong(&route("route = \"r\""), "route[0].route", "in a circle: r > r");
    wrong(&route("strategy = \"fallback\""), "route[0]", "there is no [[...target]]");
    wrong(&route("strategy = \"falback\""), "route[0].strategy", "did you mean `fallback`?");
    let zero = target("loadbalance", "model = \"a\"\nweight = 0");
    wrong(&zero, "route[0]", "all weights are 0");
    let negative = target("loadbalance", "model = \"a\"\nweight = -1");
    wrong(&negative, "route[0].target[0].weight", "0 or more");
    let misplaced = target("fallback", "model = \"a\"\nweight = 1");
    wrong(&misplaced, "route[0].target[0].weight", "unknown key");
    let first = target("fallback", "model = \"a\"\nafter = [429]");
    wrong(&first, "route[0].target[0].after", "first target");
    let no_default = target("conditional", "model = \"a\"\nwhen = { tools = true }");
    wrong(&no_default, "route[0].target[0]", "the last target must have no `when`");
    let always = target("conditional", "model = \"a\"\n[[route.target]]\nmodel = \"b\"");
    wrong(&always, "route[0].target[0]", "always taken");
    let status = route("strategy = \"fallback\"\non = [200]\ntarget = [{ model = \"a\" }]");
    wrong(&status, "route[0].on", "`200`: neither a status");
    wrong(&route("model = \"a\"\nretry = 11"), "route[0].retry", "from 0 to 10");
    wrong(&route("model = \"a\"\nretry = { attempt = 1 }"), "route[0].retry", "`attempt`");
    let hot = route("model = \"a\"\noverride = { temperature = 3 }");
    wrong(&hot, "route[0].override.temperature", "2");
    let candidates = route("model = \"a\"\ncandidates = [\"b\"]");
    wrong(&candidates, "route[0]", "belong to `model = \"auto\"`");
    wrong("[[route]]\nname = \"none\"\nmodel = \"a\"", "route[0].name", "takes no route");
    let twice = format!("{}\n{}", route("model = \"a\""), route("model = \"b\""));
    wrong(&twice, "route[1].name", "given twice");
}

#[test]
fn conditions_are_checked_too() {
    let when = |condition: &str| {
        format!(
            "[[route]]\nname = \"r\"\nstrategy = \"conditional\"\ntarget = [\n\
             {{ model = \"a\", when = {condition} }}, {{ model = \"b\" }}]"
        )
    };
    let place = "route[0].target[0].when";
    wrong(&when("{ plan = \"paid\" }"), place, "`plan` is nothing that a condition can look at");
    wrong(&when("{ feature = { length = 1 } }"), place, "`feature.length`");
    wrong(&when("{ input_tokens = { above = 1 } }"), place, "`above` is no test");
    wrong(&when("{}"), place, "at least one test");
    wrong(&when("{ model = { matches = \"(\" } }"), place, "regular expression");
    wrong(&when("{ any = [] }"), place, "at least one test");
    let fine = "{ metadata.plan = \"paid\", feature.code_marks = { gt = 0.5 }, quality.a = { lt = \
                0.9 }, any = [{ json = true }, { not = { images = true } }] }";
    assert!(read(&when(fine)).is_ok(), "{:?}", read(&when(fine)).err());
}

#[test]
fn trees_are_bounded() {
    let deep: String = (0..9)
        .map(|it| format!("[[route]]\nname = \"r{it}\"\nroute = \"r{}\"\n", it + 1))
        .collect();
    // Names alone are no levels.
    assert!(read(&format!("{deep}[[route]]\nname = \"r9\"\nmodel = \"a\"\n")).is_ok());
    let wide = "{ model = \"a\" }, ".repeat(130);
    let wide = format!("[[route]]\nname = \"r\"\nstrategy = \"fallback\"\ntarget = [{wide}]");
    wrong(&wide, "route[0].name", "more than 128");
    // Each doubles the one below.
    let doubling: String = (0..7)
        .map(|it| {
            let next = it + 1;
            format!(
                "[[route]]\nname = \"r{it}\"\nstrategy = \"fallback\"\n\
                 target = [{{ route = \"r{next}\" }}, {{ route = \"r{next}\" }}]\n"
            )
        })
        .collect();
    let told = read(&format!("{doubling}[[route]]\nname = \"r7\"\nmodel = \"a\"\n")).err();
    assert!(told.is_some_and(|it| it.contains("more than 128")));
}

#[test]
fn models_name_their_fallbacks() {
    let model = |rest: &str| {
        format!(
            "[[model]]\nname = \"e\"\ncontext_window = 8000\n{rest}\n[[model.deployment]]\n\
             provider = \"one\"\nmodel_id = \"e\"\nprice = {{ input = 1, output = 1 }}\n"
        )
    };
    let config = read(&model("fallbacks = [\"a\", \"b\"]\nretry = 2")).unwrap();
    let Node::Fallback(steps) = &config.routes.of_model["e"].root else { panic!("no fallback") };
    assert_eq!(steps.len(), 3);
    assert!(read(&model("")).unwrap().routes.of_model.is_empty());
    wrong(&model("fallbacks = [\"x\"]"), "model[2].fallbacks[0]", "unknown model `x`");
    wrong(&model("fallbacks = [\"e\"]"), "model[2].fallbacks[0]", "fall back to itself");
}
