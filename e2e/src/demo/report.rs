//! What the demo prints: steps as they happen, and the checks at the end.

/// The steps printed and the checks made so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    steps: usize,
    checks: Vec<String>,
}

impl Report {
    /// Prints the title of the next step.
    pub(super) fn step(&mut self, title: &str) {
        self.steps += 1;
        println!("\n{}. {title}", self.steps);
    }

    /// Prints something, indented below its step.
    pub(super) fn print(text: &str) {
        for line in text.trim_end().lines() {
            println!("   {line}");
        }
    }

    /// Prints that something was checked and holds, now and in the summary.
    pub(super) fn checked(&mut self, what: String) {
        Self::print(&format!("✔ {what}"));
        self.checks.push(what);
    }

    pub(super) fn print_summary(&self) {
        println!("\nSummary: {} checks hold", self.checks.len());
        for check in &self.checks {
            println!("  ✔ {check}");
        }
    }
}
