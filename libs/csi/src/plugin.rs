//! What the plugin as a whole can do.

use crate::v1::plugin_capability::service::Type as ServiceType;
use crate::v1::plugin_capability::{Service, Type};
use crate::v1::{GetPluginCapabilitiesResponse, PluginCapability};

/// What the plugin as a whole can do: all its instances answer the same, "regardless of … which RPCs an instance is
/// serving" (CSI spec, `GetPluginCapabilities`).
#[must_use]
pub fn plugin_capabilities() -> GetPluginCapabilitiesResponse {
    let services = [
        ServiceType::ControllerService,
        ServiceType::VolumeAccessibilityConstraints,
    ];
    let capability = |service: ServiceType| PluginCapability {
        r#type: Some(Type::Service(Service { r#type: service.into() })),
    };
    GetPluginCapabilitiesResponse {
        capabilities: services.map(capability).into(),
    }
}
