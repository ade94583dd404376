//! The part of libndctl 76 that this crate calls, as `libndctl.h` declares it.
//!
//! A pointer to a library object is written as a reference: it is never null, and it lives as long as the borrow of
//! the context it came from, because nothing but the functions marked `unsafe` frees an object. A function that
//! may return null returns an `Option`. Enumerations come back as plain integers, as the library also returns negative
//! error codes through some of them.
#![allow(non_camel_case_types, reason = "the names are those of the C declarations")]

use std::ffi::{c_char, c_int, c_longlong, c_uint, c_ulong, c_ulonglong};
use std::marker::{PhantomData, PhantomPinned};

macro_rules! opaque {
    ($($name:ident),*) => {$(
        #[repr(C)]
        pub(crate) struct $name {
            bytes: [u8; 0],
            // Neither Send nor Sync nor Unpin: only the library knows what is behind the pointer.
            marker: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}

opaque!(
    ndctl_ctx,
    ndctl_bus,
    ndctl_dimm,
    ndctl_region,
    ndctl_interleave_set,
    ndctl_mapping,
    ndctl_namespace,
    ndctl_pfn,
    ndctl_btt,
    ndctl_dax
);

/// `uuid_t`: 16 bytes in the order of the text form.
pub(crate) type uuid_t = [u8; 16];

pub(crate) const ND_CMD_GET_CONFIG_SIZE: c_int = 4;
pub(crate) const ND_CMD_GET_CONFIG_DATA: c_int = 5;

pub(crate) const ND_DEVICE_NAMESPACE_IO: c_uint = 4;
pub(crate) const ND_DEVICE_NAMESPACE_PMEM: c_uint = 5;

pub(crate) const NDCTL_NS_MODE_FSDAX: c_int = 0;
pub(crate) const NDCTL_NS_MODE_SECTOR: c_int = 1;
pub(crate) const NDCTL_NS_MODE_RAW: c_int = 2;
pub(crate) const NDCTL_NS_MODE_DEVDAX: c_int = 3;

pub(crate) const PERSISTENCE_NONE: c_int = 0;
pub(crate) const PERSISTENCE_MEM_CTRL: c_int = 10;
pub(crate) const PERSISTENCE_CPU_CACHE: c_int = 20;

pub(crate) const NDCTL_PFN_LOC_RAM: c_int = 1;
pub(crate) const NDCTL_PFN_LOC_PMEM: c_int = 2;

// SAFETY: the signatures are those of libndctl.h. The functions declared safe need nothing but a live object of
// their type: they read it, cache values in it, write a sysfs attribute or add objects, and free no object that
// a caller can hold.
#[link(name = "ndctl")]
unsafe extern "C" {
    /// Writes an owned context to `ctx` when it returns 0.
    pub(crate) fn ndctl_new(ctx: *mut *mut ndctl_ctx) -> c_int;
    /// Frees the context and everything in it: nothing that came from it may be used again.
    pub(crate) fn ndctl_unref(ctx: *mut ndctl_ctx) -> *mut ndctl_ctx;
    pub(crate) safe fn ndctl_set_log_priority(ctx: &ndctl_ctx, priority: c_int);

    pub(crate) safe fn ndctl_bus_get_first(ctx: &ndctl_ctx) -> Option<&ndctl_bus>;
    pub(crate) safe fn ndctl_bus_get_next(bus: &ndctl_bus) -> Option<&ndctl_bus>;
    pub(crate) safe fn ndctl_bus_get_devname(bus: &ndctl_bus) -> *const c_char;
    pub(crate) safe fn ndctl_bus_get_provider(bus: &ndctl_bus) -> *const c_char;
    pub(crate) safe fn ndctl_bus_has_nfit(bus: &ndctl_bus) -> c_int;

    pub(crate) safe fn ndctl_dimm_get_devname(dimm: &ndctl_dimm) -> *const c_char;
    pub(crate) safe fn ndctl_dimm_get_major(dimm: &ndctl_dimm) -> c_uint;
    pub(crate) safe fn ndctl_dimm_get_minor(dimm: &ndctl_dimm) -> c_uint;
    pub(crate) safe fn ndctl_dimm_get_unique_id(dimm: &ndctl_dimm) -> *const c_char;
    pub(crate) safe fn ndctl_dimm_is_enabled(dimm: &ndctl_dimm) -> c_int;
    pub(crate) safe fn ndctl_dimm_locked(dimm: &ndctl_dimm) -> c_int;
    pub(crate) safe fn ndctl_dimm_is_cmd_supported(dimm: &ndctl_dimm, cmd: c_int) -> c_int;
    pub(crate) safe fn ndctl_dimm_failed_arm(dimm: &ndctl_dimm) -> c_int;
    pub(crate) safe fn ndctl_dimm_failed_save(dimm: &ndctl_dimm) -> c_int;
    pub(crate) safe fn ndctl_dimm_failed_restore(dimm: &ndctl_dimm) -> c_int;
    pub(crate) safe fn ndctl_dimm_failed_flush(dimm: &ndctl_dimm) -> c_int;
    pub(crate) safe fn ndctl_dimm_failed_map(dimm: &ndctl_dimm) -> c_int;
    pub(crate) safe fn ndctl_dimm_get_dirty_shutdown(dimm: &ndctl_dimm) -> c_longlong;

    pub(crate) safe fn ndctl_region_get_first(bus: &ndctl_bus) -> Option<&ndctl_region>;
    pub(crate) safe fn ndctl_region_get_next(region: &ndctl_region) -> Option<&ndctl_region>;
    pub(crate) safe fn ndctl_region_get_bus(region: &ndctl_region) -> &ndctl_bus;
    pub(crate) safe fn ndctl_region_get_id(region: &ndctl_region) -> c_uint;
    pub(crate) safe fn ndctl_region_get_devname(region: &ndctl_region) -> *const c_char;
    pub(crate) safe fn ndctl_region_get_interleave_ways(region: &ndctl_region) -> c_uint;
    pub(crate) safe fn ndctl_region_get_mappings(region: &ndctl_region) -> c_uint;
    pub(crate) safe fn ndctl_region_get_size(region: &ndctl_region) -> c_ulonglong;
    pub(crate) safe fn ndctl_region_get_available_size(region: &ndctl_region) -> c_ulonglong;
    pub(crate) safe fn ndctl_region_get_max_available_extent(region: &ndctl_region) -> c_ulonglong;
    pub(crate) safe fn ndctl_region_get_resource(region: &ndctl_region) -> c_ulonglong;
    pub(crate) safe fn ndctl_region_get_nstype(region: &ndctl_region) -> c_uint;
    pub(crate) safe fn ndctl_region_get_ro(region: &ndctl_region) -> c_int;
    pub(crate) safe fn ndctl_region_get_align(region: &ndctl_region) -> c_ulong;
    pub(crate) safe fn ndctl_region_set_align(region: &ndctl_region, align: c_ulong) -> c_int;
    pub(crate) safe fn ndctl_region_get_numa_node(region: &ndctl_region) -> c_int;
    pub(crate) safe fn ndctl_region_get_target_node(region: &ndctl_region) -> c_int;
    pub(crate) safe fn ndctl_region_get_persistence_domain(region: &ndctl_region) -> c_int;
    pub(crate) safe fn ndctl_region_is_enabled(region: &ndctl_region) -> c_int;
    pub(crate) safe fn ndctl_region_enable(region: &ndctl_region) -> c_int;
    /// Keeps the objects of the region in memory, unlike `ndctl_region_disable_invalidate`.
    pub(crate) safe fn ndctl_region_disable_preserve(region: &ndctl_region) -> c_int;
    pub(crate) safe fn ndctl_region_get_namespace_seed(region: &ndctl_region) -> Option<&ndctl_namespace>;
    pub(crate) safe fn ndctl_region_get_pfn_seed(region: &ndctl_region) -> Option<&ndctl_pfn>;
    pub(crate) safe fn ndctl_region_get_btt_seed(region: &ndctl_region) -> Option<&ndctl_btt>;
    pub(crate) safe fn ndctl_region_get_interleave_set(region: &ndctl_region) -> Option<&ndctl_interleave_set>;
    pub(crate) safe fn ndctl_interleave_set_get_cookie(set: &ndctl_interleave_set) -> c_ulonglong;

    pub(crate) safe fn ndctl_mapping_get_first(region: &ndctl_region) -> Option<&ndctl_mapping>;
    pub(crate) safe fn ndctl_mapping_get_next(mapping: &ndctl_mapping) -> Option<&ndctl_mapping>;
    pub(crate) safe fn ndctl_mapping_get_dimm(mapping: &ndctl_mapping) -> &ndctl_dimm;
    pub(crate) safe fn ndctl_mapping_get_offset(mapping: &ndctl_mapping) -> c_ulonglong;
    pub(crate) safe fn ndctl_mapping_get_length(mapping: &ndctl_mapping) -> c_ulonglong;
    pub(crate) safe fn ndctl_mapping_get_position(mapping: &ndctl_mapping) -> c_int;

    pub(crate) safe fn ndctl_namespace_get_first(region: &ndctl_region) -> Option<&ndctl_namespace>;
    pub(crate) safe fn ndctl_namespace_get_next(ndns: &ndctl_namespace) -> Option<&ndctl_namespace>;
    pub(crate) safe fn ndctl_namespace_get_region(ndns: &ndctl_namespace) -> &ndctl_region;
    pub(crate) safe fn ndctl_namespace_get_id(ndns: &ndctl_namespace) -> c_uint;
    pub(crate) safe fn ndctl_namespace_get_devname(ndns: &ndctl_namespace) -> *const c_char;
    pub(crate) safe fn ndctl_namespace_get_type(ndns: &ndctl_namespace) -> c_uint;
    pub(crate) safe fn ndctl_namespace_get_mode(ndns: &ndctl_namespace) -> c_int;
    pub(crate) safe fn ndctl_namespace_set_enforce_mode(ndns: &ndctl_namespace, mode: c_int) -> c_int;
    pub(crate) safe fn ndctl_namespace_get_block_device(ndns: &ndctl_namespace) -> *const c_char;
    pub(crate) safe fn ndctl_namespace_get_size(ndns: &ndctl_namespace) -> c_ulonglong;
    pub(crate) safe fn ndctl_namespace_set_size(ndns: &ndctl_namespace, size: c_ulonglong) -> c_int;
    pub(crate) safe fn ndctl_namespace_get_resource(ndns: &ndctl_namespace) -> c_ulonglong;
    pub(crate) safe fn ndctl_namespace_get_uuid(ndns: &ndctl_namespace, uuid: &mut uuid_t);
    pub(crate) safe fn ndctl_namespace_set_uuid(ndns: &ndctl_namespace, uuid: &mut uuid_t) -> c_int;
    pub(crate) safe fn ndctl_namespace_get_alt_name(ndns: &ndctl_namespace) -> *const c_char;
    /// `name` is a string that ends in NUL; the library copies it.
    pub(crate) fn ndctl_namespace_set_alt_name(ndns: &ndctl_namespace, name: *const c_char) -> c_int;
    pub(crate) safe fn ndctl_namespace_get_raw_mode(ndns: &ndctl_namespace) -> c_int;
    pub(crate) safe fn ndctl_namespace_set_raw_mode(ndns: &ndctl_namespace, raw: c_int) -> c_int;
    pub(crate) safe fn ndctl_namespace_is_enabled(ndns: &ndctl_namespace) -> c_int;
    pub(crate) safe fn ndctl_namespace_is_active(ndns: &ndctl_namespace) -> bool;
    pub(crate) safe fn ndctl_namespace_enable(ndns: &ndctl_namespace) -> c_int;
    /// Frees the pfn, btt or dax object that claims the namespace: no reference to it may be held.
    pub(crate) fn ndctl_namespace_disable_safe(ndns: &ndctl_namespace) -> c_int;
    /// Frees the namespace object: it may not be used again.
    pub(crate) fn ndctl_namespace_delete(ndns: *mut ndctl_namespace) -> c_int;
    pub(crate) safe fn ndctl_namespace_get_pfn(ndns: &ndctl_namespace) -> Option<&ndctl_pfn>;
    pub(crate) safe fn ndctl_namespace_get_btt(ndns: &ndctl_namespace) -> Option<&ndctl_btt>;
    pub(crate) safe fn ndctl_namespace_get_dax(ndns: &ndctl_namespace) -> Option<&ndctl_dax>;

    pub(crate) safe fn ndctl_pfn_get_devname(pfn: &ndctl_pfn) -> *const c_char;
    pub(crate) safe fn ndctl_pfn_get_block_device(pfn: &ndctl_pfn) -> *const c_char;
    pub(crate) safe fn ndctl_pfn_is_enabled(pfn: &ndctl_pfn) -> c_int;
    pub(crate) safe fn ndctl_pfn_get_size(pfn: &ndctl_pfn) -> c_ulonglong;
    pub(crate) safe fn ndctl_pfn_get_resource(pfn: &ndctl_pfn) -> c_ulonglong;
    pub(crate) safe fn ndctl_pfn_get_align(pfn: &ndctl_pfn) -> c_ulong;
    pub(crate) safe fn ndctl_pfn_get_location(pfn: &ndctl_pfn) -> c_int;
    pub(crate) safe fn ndctl_pfn_get_uuid(pfn: &ndctl_pfn, uuid: &mut uuid_t);
    pub(crate) safe fn ndctl_pfn_set_uuid(pfn: &ndctl_pfn, uuid: &mut uuid_t) -> c_int;
    pub(crate) safe fn ndctl_pfn_set_location(pfn: &ndctl_pfn, location: c_int) -> c_int;
    pub(crate) safe fn ndctl_pfn_set_align(pfn: &ndctl_pfn, align: c_ulong) -> c_int;
    pub(crate) safe fn ndctl_pfn_set_namespace(pfn: &ndctl_pfn, ndns: Option<&ndctl_namespace>) -> c_int;
    pub(crate) safe fn ndctl_pfn_enable(pfn: &ndctl_pfn) -> c_int;

    pub(crate) safe fn ndctl_btt_get_devname(btt: &ndctl_btt) -> *const c_char;
    pub(crate) safe fn ndctl_btt_get_block_device(btt: &ndctl_btt) -> *const c_char;
    pub(crate) safe fn ndctl_btt_is_enabled(btt: &ndctl_btt) -> c_int;
    pub(crate) safe fn ndctl_btt_get_size(btt: &ndctl_btt) -> c_ulonglong;
    pub(crate) safe fn ndctl_btt_get_sector_size(btt: &ndctl_btt) -> c_uint;
    pub(crate) safe fn ndctl_btt_get_uuid(btt: &ndctl_btt, uuid: &mut uuid_t);
    pub(crate) safe fn ndctl_btt_set_uuid(btt: &ndctl_btt, uuid: &mut uuid_t) -> c_int;
    pub(crate) safe fn ndctl_btt_set_sector_size(btt: &ndctl_btt, size: c_uint) -> c_int;
    pub(crate) safe fn ndctl_btt_set_namespace(btt: &ndctl_btt, ndns: Option<&ndctl_namespace>) -> c_int;
    pub(crate) safe fn ndctl_btt_enable(btt: &ndctl_btt) -> c_int;

    pub(crate) safe fn ndctl_dax_get_devname(dax: &ndctl_dax) -> *const c_char;
    pub(crate) safe fn ndctl_dax_is_enabled(dax: &ndctl_dax) -> c_int;
    pub(crate) safe fn ndctl_dax_get_size(dax: &ndctl_dax) -> c_ulonglong;
    pub(crate) safe fn ndctl_dax_get_uuid(dax: &ndctl_dax, uuid: &mut uuid_t);
}
