//! How long each defect took, as a table for docs/simulation.md.

use std::fmt;

use super::search::Found;

/// How long each defect took.
#[derive(Debug)]
pub(super) struct Table(pub(super) Vec<Found>);

impl Table {
    /// The names of those that no history showed.
    pub(super) fn missed(&self) -> Vec<&str> {
        let missed = self.0.iter().filter(|found| found.by.is_none());
        missed.map(|found| &*found.patch.name).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| patch | defect | found by | histories | seconds |")?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        for found in &self.0 {
            let by = found.by.as_ref().map_or("NOT FOUND", |(_, invariant)| invariant);
            writeln!(
                f,
                "| `{}` | {} | {by} | {} | {} |",
                found.patch.name, found.patch.defect, found.histories, found.seconds
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::patch::Patch;
    use super::*;

    fn found(name: &str, by: Option<(u64, String)>) -> Found {
        let patch = Patch {
            name: name.into(),
            defect: "It was lost.".into(),
            path: name.into(),
            changes: Vec::new(),
        };
        Found {
            patch,
            by,
            histories: 3,
            seconds: 1,
        }
    }

    #[test]
    fn what_was_not_found_is_told() {
        let table = Table(vec![
            found("one", Some((4, "nothing is lost".into()))),
            found("other", None),
        ]);
        let text = table.to_string();
        assert!(
            text.contains("| `one` | It was lost. | nothing is lost | 3 | 1 |"),
            "{text}"
        );
        assert!(
            text.contains("| `other` | It was lost. | NOT FOUND | 3 | 1 |"),
            "{text}"
        );
        assert_eq!(table.missed(), ["other"]);
    }
}
