//! Versions of a file in one: where they differ, the bodies of a function stand side by side, and the environment says which one
//! runs.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use syn::visit::{Visit, visit_file};
use syn::{Block, parse_file};

/// The variable that has the name of the version that runs. Without it, the file is as it was.
pub(super) const VARIABLE: &str = "DAXFIT_PUT_BACK";

/// A file as it is with a patch.
pub(super) struct Version {
    /// The name of the patch.
    pub(super) name: String,
    pub(super) text: String,
}

/// The file with all of these versions.
///
/// # Errors
/// One is no Rust, or differs outside of the bodies of functions.
pub(super) fn side_by_side(text: &str, versions: &[Version]) -> Result<String> {
    let original = Parts::of(text)?;
    let mut bodies: Vec<String> = original.bodies.iter().map(ToString::to_string).collect();
    for Version { name, text } in versions {
        let parts = Parts::of(text).with_context(|| name.clone())?;
        ensure!(
            parts.between == original.between,
            "{name} changes more than the bodies of functions"
        );
        for ((merged, body), unchanged) in bodies.iter_mut().zip(parts.bodies).zip(&original.bodies) {
            if body != *unchanged {
                *merged = format!("{{ if {} {body} else {merged} }}", is_back(name));
            }
        }
    }
    Ok(original.with(&bodies))
}

/// Whether the version of this name runs; asked for once.
fn is_back(name: &str) -> String {
    format!(
        "{{ static IS_BACK: std::sync::LazyLock<bool> = \
             std::sync::LazyLock::new(|| std::env::var({VARIABLE:?}).is_ok_and(|name| name == {name:?})); *IS_BACK }}"
    )
}

/// A file, taken apart: the bodies of its functions, with their braces, and what is before, between and after them.
struct Parts<'a> {
    between: Vec<&'a str>,
    bodies: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self> {
        let mut outermost = Outermost::default();
        visit_file(&mut outermost, &parse_file(text).context("this is no Rust")?);
        let (mut between, mut bodies) = (Vec::new(), Vec::new());
        let mut end = 0;
        for body in outermost.blocks {
            between.push(&text[end..body.start]);
            end = body.end;
            bodies.push(&text[body]);
        }
        between.push(&text[end..]);
        Ok(Self { between, bodies })
    }

    /// The file with other bodies.
    fn with(&self, bodies: &[String]) -> String {
        let bodies = bodies.iter().map(String::as_str).chain([""]);
        self.between
            .iter()
            .copied()
            .zip(bodies)
            .flat_map(|(before, body)| [before, body])
            .collect()
    }
}

/// Where the blocks are that are in no other.
#[derive(Default)]
struct Outermost {
    blocks: Vec<Range<usize>>,
}

impl Visit<'_> for Outermost {
    fn visit_block(&mut self, block: &Block) {
        self.blocks.push(block.brace_token.span.join().byte_range());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "//! Für alle.\n\nimpl One {\n    fn two(&self) -> u8 {\n        2\n    }\n}\n\nfn three() -> u8 { 3 }\n";

    fn version(name: &str, what: &str, becomes: &str) -> Version {
        Version {
            name: name.into(),
            text: FILE.replace(what, becomes),
        }
    }

    #[test]
    fn only_bodies_that_differ_stand_side_by_side() {
        let merged = side_by_side(FILE, &[version("four", "3 }", "4 }"), version("five", "3 }", "5 }")]).unwrap();
        let (unchanged, third) = merged.split_once("fn three() -> u8 ").unwrap();
        assert!(FILE.starts_with(unchanged), "{unchanged}");
        let (four, five) = (is_back("four"), is_back("five"));
        assert_eq!(
            third,
            format!("{{ if {five} {{ 5 }} else {{ if {four} {{ 4 }} else {{ 3 }} }} }}\n")
        );
    }

    #[test]
    fn what_is_no_body_is_the_same_in_all_versions() {
        let error = side_by_side(FILE, &[version("wider", "-> u8 { 3", "-> u16 { 3")]).unwrap_err();
        assert_eq!(error.to_string(), "wider changes more than the bodies of functions");
        let error = side_by_side(FILE, &[version("broken", "3 }", "3")]).unwrap_err();
        assert_eq!(format!("{error:#}").split(':').next(), Some("broken"));
    }
}
