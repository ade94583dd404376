//! Why a node shows no persistent memory.

use ndctl::{Bus, Context};

/// What a node without a region has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Without {
    /// The kernel's subsystem is not loaded.
    Subsystem,
    /// Nothing that persistent memory hangs on.
    Bus,
    /// There are such buses, with these names.
    Region(Vec<String>),
}

/// What to tell of a node on which the kernel shows no region of persistent memory.
pub(super) fn message(context: &Context) -> Result<String, ndctl::Error> {
    let buses = context.buses()?.into_iter().map(Bus::provider);
    Ok(text(&match buses.collect::<Vec<_>>() {
        _ if !ndctl::has_subsystem() => Without::Subsystem,
        none if none.is_empty() => Without::Bus,
        buses => Without::Region(buses),
    }))
}

fn text(without: &Without) -> String {
    match without {
        Without::Subsystem => {
            "the kernel has no support for persistent memory loaded: `modprobe -a libnvdimm nd_pmem nfit cxl_acpi \
                               cxl_pci cxl_pmem`, if the node has some"
                .into()
        }
        Without::Bus => {
            "the kernel knows of no persistent memory: firmware describes none, or its module is not loaded (`modprobe \
                         nfit` for NVDIMMs, `modprobe -a cxl_acpi cxl_pci cxl_pmem` for CXL)"
                .into()
        }
        Without::Region(buses) => format!(
            "the kernel shows no region of persistent memory on {}: are all modules healthy (`ndctl list --dimms --health`)? CXL \
             memory has none until `cxl create-region -t pmem`",
            buses.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing() {
        let cases = [
            (Without::Subsystem, "modprobe -a libnvdimm"),
            (Without::Bus, "modprobe nfit"),
            (Without::Region(vec!["CXL".into()]), "on CXL: are"),
        ];
        for (without, told) in cases {
            assert!(text(&without).contains(told), "{without:?}");
        }
    }
}
