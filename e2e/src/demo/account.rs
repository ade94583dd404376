//! What the demo tells: steps as they happen, and the checks at the end.

/// The steps told and the checks made so far.
#[derive(Debug, Default)]
pub(super) struct Account {
    steps: usize,
    checks: Vec<String>,
}

impl Account {
    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) {
        self.steps += 1;
        println!("\n{}. {title}", self.steps);
    }

    /// Tells something, indented below its step.
    pub(super) fn tell(text: &str) {
        for line in text.trim_end().lines() {
            println!("   {line}");
        }
    }

    /// Tells that something was checked and holds.
    pub(super) fn checked(&mut self, what: String) {
        Self::tell(&format!("✔ {what}"));
        self.checks.push(what);
    }

    /// All that was checked.
    pub(super) fn print_summary(&self) {
        println!("\nSummary: {} checks hold", self.checks.len());
        for check in &self.checks {
            println!("  ✔ {check}");
        }
    }
}
