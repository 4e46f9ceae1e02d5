//! `pointsman simulate`: made-up models behind every provider's protocol, for
//! staging.
//!
//! In: names, speeds, faults. Out: a provider on a port until it is told to stop, then how many
//! calls each model took. Not here: how it misbehaves (see [`crate::simulator`]).

use std::collections::BTreeMap;
use std::io::Write;

use super::args::SimulateArgs;
use super::{CommandError, assemble, stop};
use crate::simulator::{CallLog, Dialect, OutputTokens, SimulatedModel, Simulator};

pub(super) async fn simulate(args: &SimulateArgs, out: &mut dyn Write) -> Result<(), CommandError> {
    let listener = assemble::bind(args.listen, "--listen").await?;
    let simulator = Simulator::start(models(args), args.seed, listener);
    writeln!(out, "simulating {} at {}", args.models.join(", "), simulator.base_url())?;
    for protocol in Dialect::ALL {
        writeln!(out, "  {:<10} {}", protocol.as_str(), simulator.base_url_for(protocol))?;
    }
    writeln!(out, "\nIn pointsman's config:\n\n{}", section(&simulator.base_url(), &args.models))?;
    writeln!(out, "Ctrl-C stops.")?;
    out.flush()?;
    stop::signal().await?;
    for (model, (calls, faults)) in counted(&simulator.calls()) {
        writeln!(out, "{model}: {calls} calls, {faults} of them faulty")?;
    }
    simulator.stop().await;
    Ok(())
}

fn models(args: &SimulateArgs) -> Vec<SimulatedModel> {
    let model = |name: &String| {
        let base = SimulatedModel::new(name);
        SimulatedModel {
            ttft: args.ttft,
            tokens_per_s: args.tokens_per_s,
            output_tokens: OutputTokens { median: args.output_tokens, ..base.output_tokens },
            faults: args.faults.clone(),
            script: args.script.0.clone(),
            flap: args.flap,
            ..base
        }
    };
    args.models.iter().map(model).collect()
}

/// What a config needs to use these models.
fn section(base_url: &str, models: &[String]) -> String {
    let mut text = format!("[[provider]]\nname = \"simulated\"\nbase_url = \"{base_url}\"\n");
    for name in models {
        text.push_str(&format!(
            "\n[[model]]\nname = \"{name}\"\ncontext_window = 128000\nmax_output_tokens = 4096\n\
             abilities = [\"tools\", \"json_object\", \"json_schema\"]\nquality_prior = 0.7\n\
             [[model.deployment]]\nprovider = \"simulated\"\nmodel_id = \"{name}\"\n\
             price = {{ input = 1.0, output = 2.0 }}\n"
        ));
    }
    text
}

fn counted(calls: &[CallLog]) -> BTreeMap<&str, (usize, usize)> {
    let mut counts = BTreeMap::new();
    for call in calls {
        let count: &mut (usize, usize) = counts.entry(call.model_id.as_str()).or_default();
        count.0 += 1;
        count.1 += usize::from(call.fault.is_some());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_it_prints_is_a_config() {
        let text = section("http://127.0.0.1:8089/v1", &["a".into(), "b".into()]);
        let config = crate::config::from_toml(&text, &|_: &str| None);
        let config = config.map_err(|it| it.to_string()).unwrap_or_else(|it| panic!("{it}"));
        assert_eq!(config.fleet.deployments().len(), 2);
    }
}
