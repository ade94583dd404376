//! What the processes count about themselves, in the text format of Prometheus.

use anyhow::{Context, Result};
use kube::Client;

use crate::harness::client;

/// The samples of one process at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Samples(String);

impl Samples {
    /// Asks a program for its samples.
    pub(super) async fn of(program: &Client) -> Result<Self> {
        Ok(Self::new(client::get(program, "/metrics").await?))
    }

    fn new(text: String) -> Self {
        Self(text)
    }

    /// The sum of all samples of `name` whose labels have all of `labels`, such as `verb="POST"`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let of_name = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let split = of_name.filter_map(|rest| rest.rsplit_once("} "));
        let chosen = split.filter(|(found, _)| labels.iter().all(|label| found.contains(label)));
        let number = |(_, value): (&str, &str)| value.parse::<f64>().with_context(|| format!("{name} is {value:?}"));
        // The sum of no floating point numbers is -0.
        chosen.map(number).sum::<Result<f64>>().map(|sum| sum + 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_chosen_by_name_and_labels() {
        let text = "# TYPE calls counter\ncalls{verb=\"POST\",code=\"201\"} 3\ncalls{verb=\"POST\",code=\"409\"} 1\n\
                    calls{verb=\"GET\",code=\"200\"} 1e+02\ncalls_total{verb=\"POST\"} 7\n";
        let samples = Samples::new(text.to_owned());
        assert_eq!(samples.sum("calls", &["verb=\"POST\""]).unwrap().to_string(), "4");
        assert_eq!(samples.sum("calls", &[]).unwrap().to_string(), "104");
        assert_eq!(samples.sum("others", &[]).unwrap().to_string(), "0");
    }
}
