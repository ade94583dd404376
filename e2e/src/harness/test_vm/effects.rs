//! What `standalone-volume` prints of its side effects, after each of which it can be told to end.

use anyhow::{Context, Result};

/// A side effect on a device or a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Such as `create`; several effects can have one name.
    pub(crate) name: String,
}

/// The effects among the lines that the program printed.
pub(crate) fn effects(printed: &str) -> Result<Vec<Effect>> {
    let lines = printed.lines().filter_map(|line| line.strip_prefix("effect "));
    lines.map(effect).collect()
}

fn effect(line: &str) -> Result<Effect> {
    let (number, name) = line.split_once(' ').context("an effect without a number")?;
    Ok(Effect {
        number: number.parse().with_context(|| format!("not a number: {number}"))?,
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_found_between_other_lines() {
        let printed = "INFO formatting\neffect 1 format\neffect 2 mark-InUse\nstopped\n";
        let expected = [(1, "format"), (2, "mark-InUse")].map(|(number, name)| Effect {
            number,
            name: name.to_owned(),
        });
        assert_eq!(effects(printed).unwrap(), expected);
        effects("effect x").unwrap_err();
    }
}
