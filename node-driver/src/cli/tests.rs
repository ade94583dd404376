use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn runs_without_a_subcommand() {
    let cli = Cli::try_parse_from(["driver", "--node-name=n", "--csi-socket=/s", "--no-registration"]).unwrap();
    let run = cli.run;
    assert_eq!((run.node_name, run.socket.csi_socket), (Some("n".into()), "/s".into()));
    assert!(cli.command.is_none());
}

#[test]
fn probes_without_a_node_name() {
    let cli = Cli::try_parse_from(["driver", "probe", "--csi-socket=/s"]).unwrap();
    assert!(matches!(
        cli.command,
        Some(Command::Probe(ProbeArgs { ready: false, .. }))
    ));
}

#[test]
fn emulation_needs_a_directory() {
    let without = Cli::try_parse_from(["driver", "inventory", "--backend=emulated"]);
    assert!(without.unwrap_err().to_string().contains("--emulated-dir"));
}

#[test]
fn a_name_that_cannot_be_a_label_is_refused() {
    let long = format!("--node-name={}", "n".repeat(64));
    let refused = Cli::try_parse_from(["driver", &long]).unwrap_err().to_string();
    assert!(
        refused.contains("64 characters") && refused.contains("--hostname-override"),
        "{refused}"
    );
}
