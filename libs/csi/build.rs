//! Generates the Rust types from `proto/` without `protoc`.

use std::error::Error;

const PROTOS: [&str; 6] = [
    "csi/v1/types.proto",
    "csi/v1/snapshot.proto",
    "csi/v1/identity.proto",
    "csi/v1/controller.proto",
    "csi/v1/node.proto",
    "pluginregistration/registration.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(PROTOS, ["proto"])?;
    tonic_prost_build::configure()
        .generate_default_stubs(true)
        .compile_fds(files)?;
    Ok(())
}
