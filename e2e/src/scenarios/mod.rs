//! The cluster tier: what a user meets, on a real control plane, a real kubelet and a real kernel.
//!
//! The scenarios share one cluster, one after the other. Each leaves nothing behind, and the capacity that is published
//! then is what it was before, to the byte. To add one, write a function in the module that it
//! belongs to, and list it in [`cases`]. Those that need several nodes have each a cluster of its own, with hollow nodes, and are in
//! [`hollow_cases`]; they run meanwhile, one after the other, too.

mod burst;
mod choice;
mod conformance;
mod crashes;
mod dead_node;
mod empty_region;
mod extender;
mod filling;
mod gangs;
mod held;
mod joint;
mod kept;
mod mistakes;
mod nobody_waits;
mod numa;
mod older_scheduler;
mod policy;
mod preemption;
mod refusals;
mod second_scheduler;
mod sharing;
mod sieve;
mod two_schedulers;
mod volumes;

use std::pin::Pin;

use anyhow::{Context, Result, ensure};

use crate::harness::cluster::Cluster;
use crate::harness::progress;
use crate::harness::test_cluster::TestCluster;

type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One scenario.
struct Case {
    /// Says what holds when it succeeds.
    name: &'static str,
    /// The scenario.
    run: for<'a> fn(&'a mut TestCluster) -> Running<'a>,
}

/// Makes a [`Case`] of an async function, under its own name.
macro_rules! case {
    ($module:ident :: $function:ident) => {
        Case {
            name: concat!(stringify!($module), "::", stringify!($function)),
            run: |cluster| Box::pin($module::$function(cluster)),
        }
    };
}

fn cases() -> Vec<Case> {
    vec![
        case!(volumes::an_unprepared_region_is_named_and_left_alone),
        case!(volumes::two_claims_of_a_pod_get_exactly_their_bytes),
        case!(volumes::the_smallest_claim_takes_the_smallest_namespace),
        case!(volumes::xfs_sector_and_raw_block_work_side_by_side),
        case!(volumes::bytes_of_an_earlier_tenant_are_gone),
        case!(volumes::an_immediate_claim_is_bound_without_a_pod),
        case!(nobody_waits::a_full_volume_with_a_kept_mount_comes_back),
        case!(nobody_waits::room_that_no_capacity_shows_wakes_a_pod),
        case!(nobody_waits::a_full_node_has_a_volume_that_was_retained),
        case!(nobody_waits::who_waits_for_an_erasure_is_told_when_it_is_over),
        case!(nobody_waits::free_bytes_become_zero_before_somebody_needs_them),
        case!(nobody_waits::a_node_without_a_driver_is_given_no_claim),
        case!(refusals::sizes_that_are_none_are_refused),
        case!(refusals::a_limit_that_no_volume_keeps_is_refused),
        case!(refusals::a_wrong_parameter_is_named_in_the_event),
        case!(refusals::claims_that_nobody_makes_a_volume_for_hold_no_space),
        case!(refusals::a_mount_option_that_names_another_device_is_refused),
        case!(joint::claims_that_do_not_fit_together_wait_and_the_extender_says_why),
        case!(numa::volumes_that_wish_so_are_together),
        case!(sharing::pods_that_share_a_claim_and_one_that_brings_a_volume_run),
        case!(burst::of_a_burst_exactly_those_run_that_fit),
        case!(extender::pods_that_come_while_no_extender_answers_are_placed_by_capacity),
        case!(extender::one_that_hangs_is_started_anew),
        case!(second_scheduler::both_place_pods_side_by_side),
        case!(preemption::nobody_is_evicted_in_vain),
        case!(policy::a_driver_cannot_write_what_belongs_to_another_node),
        case!(policy::a_driver_cannot_renew_the_lease_of_another),
        case!(policy::rights_to_write_are_not_enough_without_the_verb),
        case!(policy::what_says_that_a_volume_had_a_namespace_stays),
        case!(policy::a_kubelet_cannot_invite_the_driver),
        case!(policy::each_credential_can_do_what_security_md_says),
        case!(policy::an_overlay_with_another_namespace_names_ours_nowhere),
        case!(crashes::provisioning_survives_the_death_of_every_part),
        case!(crashes::data_survives_a_power_cut),
        case!(kept::a_volume_whose_object_is_deleted_keeps_its_data),
        case!(kept::a_volume_that_nobody_names_can_be_used_or_erased),
        case!(kept::the_advice_about_a_node_that_is_gone_works),
        case!(kept::removing_and_installing_changes_no_byte),
        case!(conformance::csi_sanity_passes),
        // From here on our programs reach the API server through the proxy.
        case!(sieve::capacity_is_true_wherever_the_operator_dies),
        case!(sieve::capacity_follows_changes_that_no_event_told),
        case!(sieve::capacity_becomes_true_after_a_start_in_the_past),
        case!(sieve::one_volume_is_made_and_erased_wherever_the_operator_dies),
        case!(sieve::a_volume_that_became_ready_unseen_is_handed_out),
        case!(sieve::an_operator_in_the_past_gives_no_byte_twice),
        case!(sieve::an_object_that_vanished_is_made_anew_once),
        case!(sieve::a_volume_that_was_erased_is_not_made_anew_by_an_operator_in_the_past),
        case!(sieve::a_volume_without_object_is_erased_by_an_operator_in_the_past),
        case!(sieve::space_of_claims_that_went_unseen_is_free),
        case!(sieve::an_extender_in_the_past_gives_no_byte_twice),
        case!(sieve::a_volume_is_made_and_erased_once_wherever_its_driver_dies),
        case!(sieve::a_volume_that_was_replaced_unseen_keeps_its_data),
        case!(sieve::a_volume_whose_object_vanished_while_it_was_made_is_taken_up),
        case!(sieve::no_namespace_is_made_for_a_volume_of_the_past),
    ]
}

/// One scenario with a hollow cluster of its own.
struct HollowCase {
    /// Says what holds when it succeeds.
    name: &'static str,
    /// The scenario.
    run: fn() -> Running<'static>,
}

/// Makes a [`HollowCase`] of an async function, under its own name.
macro_rules! hollow_case {
    ($module:ident :: $function:ident) => {
        HollowCase {
            name: concat!(stringify!($module), "::", stringify!($function)),
            run: || Box::pin($module::$function()),
        }
    };
}

fn hollow_cases() -> Vec<HollowCase> {
    vec![
        hollow_case!(choice::replicas_of_an_owner_are_on_nodes_of_their_own),
        hollow_case!(choice::a_pod_that_comes_back_holds_one_choice_of_nodes),
        hollow_case!(gangs::a_gang_that_fails_keeps_no_room_from_others),
        hollow_case!(two_schedulers::a_burst_through_both_comes_right),
        hollow_case!(older_scheduler::a_burst_without_nominations_is_exact),
        hollow_case!(dead_node::what_was_half_made_there_is_made_elsewhere),
        hollow_case!(mistakes::none_of_them_lasts),
    ]
}

/// Starts a cluster, installs Daxfit, runs the scenarios whose name contains `filter`, and prints a line for each and
/// their number.
/// It is an error if a scenario fails or none has such a name.
pub(crate) async fn run(filter: &str) -> Result<()> {
    let chosen: Vec<Case> = cases().into_iter().filter(|case| case.name.contains(filter)).collect();
    let hollow: Vec<HollowCase> = hollow_cases()
        .into_iter()
        .filter(|case| case.name.contains(filter))
        .collect();
    let all = chosen.len() + hollow.len();
    ensure!(all > 0, "no scenario has {filter:?} in its name");
    // Both wait most of the time.
    let (failed, hollow_failed) = tokio::join!(play_in_one_cluster(&chosen), play_hollow(&hollow));
    let failed = failed? + hollow_failed;
    println!("{} passed, {failed} failed", all - failed);
    ensure!(failed == 0, "{failed} scenarios failed");
    Ok(())
}

async fn play_in_one_cluster(chosen: &[Case]) -> Result<usize> {
    if chosen.is_empty() {
        return Ok(0);
    }
    let cluster = Box::pin(Cluster::start()).await?;
    let mut cluster = progress::step("installing Daxfit", TestCluster::install(cluster)).await?;
    play(&mut cluster, chosen).await
}

/// How many scenarios fail.
async fn play_hollow(chosen: &[HollowCase]) -> usize {
    let mut failed = 0;
    for case in chosen {
        match progress::step(case.name, (case.run)()).await {
            Ok(()) => println!("test {} ... ok", case.name),
            Err(error) => {
                println!("test {} ... FAILED", case.name);
                eprintln!("{}: {error:#}", case.name);
                failed += 1;
            }
        }
    }
    failed
}

/// How many scenarios fail. It is an error if one leaves the cluster so that no other can run.
async fn play(cluster: &mut TestCluster, chosen: &[Case]) -> Result<usize> {
    let mut failed = 0;
    for case in chosen {
        match play_one(cluster, case).await {
            Ok(()) => println!("test {} ... ok", case.name),
            Err(error) => {
                println!("test {} ... FAILED", case.name);
                eprintln!("{}: {error:#}", case.name);
                failed += 1;
                cluster.keep_logs(case.name).await;
                let cleaned = cluster.clean_up().await;
                cleaned.with_context(|| format!("cleaning up after {}, which failed", case.name))?;
            }
        }
    }
    Ok(failed)
}

async fn play_one(cluster: &mut TestCluster, case: &Case) -> Result<()> {
    progress::step(case.name, async {
        (case.run)(cluster).await?;
        cluster.is_as_before().await
    })
    .await
}
