//! Everything there is.

use anyhow::Result;
use ndctl::{Context, Dimm, Label, LabelArea, Mapping, Namespace, Region};
use serde::Serialize;
use serde_json::{Value, json};

use crate::reasons;

pub(crate) fn print() -> Result<()> {
    let context = Context::new()?;
    for region in context.regions()? {
        crate::print(json!({ "region": region_facts(region)? }));
        for namespace in region.namespaces()? {
            crate::print(json!({ "namespace": namespace_facts(namespace)? }));
        }
    }
    Ok(())
}

fn region_facts(region: Region) -> Result<Value> {
    let bus = region.bus();
    Ok(json!({
        "device": region.device(),
        "bus": { "device": bus.device(), "provider": bus.provider(), "nfit": bus.has_nfit(), "cxl": bus.has_cxl() },
        "kind": format!("{:?}", region.kind()?),
        "labels": region.has_labels(),
        "size": region.size(),
        "start": known(region.start()),
        "available": known(region.available_size()),
        "max_available_extent": known(region.max_available_extent()),
        "align": region.align(),
        "ways": region.interleave_ways(),
        "numa_node": region.numa_node(),
        "target_node": region.target_node(),
        "persistence": format!("{:?}", region.persistence_domain()),
        "read_only": region.is_read_only(),
        "enabled": region.is_enabled(),
        "cookie": region.interleave_set_cookie().map(|cookie| format!("{cookie:#x}")),
        "mappings": region.mappings()?.into_iter().map(mapping_facts).collect::<Vec<_>>(),
        "bad_ranges": region.bad_ranges()?.map(|bad| bad.len()),
    }))
}

fn mapping_facts(mapping: Mapping) -> Value {
    json!({
        "dimm": dimm_facts(mapping.dimm()),
        "position": mapping.position(),
        "start": mapping.start(),
        "size": mapping.size(),
    })
}

fn dimm_facts(dimm: Dimm) -> Value {
    let labels = match dimm.label_area() {
        Ok(LabelArea::None) => json!("none"),
        Ok(LabelArea::Uninitialised) => json!("uninitialised"),
        Ok(LabelArea::Initialised(labels)) => json!({
            "sequence": labels.index.sequence,
            "free_slots": labels.free_slots,
            "used": labels.labels.iter().map(label_facts).collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "error": reasons(&error) }),
    };
    json!({
        "device": dimm.device(),
        "id": dimm.unique_id(),
        "enabled": dimm.is_enabled(),
        "locked": dimm.is_locked(),
        "failures": dimm.failures().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "labels": labels,
    })
}

fn label_facts(label: &Label) -> Value {
    json!({
        "slot": label.slot,
        "name": label.name,
        "uuid": label.uuid.to_string(),
        "start": label.start,
        "size": label.size,
        "position": label.position,
        "devices": label.devices,
        "updating": label.is_updating,
    })
}

pub(crate) fn namespace_facts(namespace: Namespace) -> Result<Value> {
    let claim = namespace.claim().map(|claim| {
        json!({
            "device": claim.device,
            "kind": format!("{:?}", claim.kind),
            "enabled": claim.is_enabled,
            "usable": claim.usable,
            "uuid": claim.uuid.map(|uuid| uuid.to_string()),
        })
    });
    Ok(json!({
        "device": namespace.device(),
        "region": namespace.region().device(),
        "kind": format!("{:?}", namespace.kind()),
        "size": namespace.size(),
        "start": namespace.start(),
        "uuid": namespace.uuid().map(|uuid| uuid.to_string()),
        "name": namespace.name(),
        "mode": namespace.mode().map(|mode| format!("{mode:?}")),
        "enabled": namespace.is_enabled(),
        "active": namespace.is_active(),
        "raw_mode": namespace.is_raw_mode(),
        "block_device": namespace.block_device(),
        "claim": claim,
        "bad_ranges": namespace.bad_ranges()?.map(|bad| bad.len()),
    }))
}

/// The value, or why it cannot be read.
fn known(value: Result<impl Serialize, ndctl::Error>) -> Value {
    value.map_or_else(|error| json!({ "error": reasons(&error) }), |value| json!(value))
}
