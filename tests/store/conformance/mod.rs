//! What any engine must do, sentence by sentence of the trait's documentation. Every case runs twice:
//! on a store that stays open, and on one that is closed and opened again before every single step.
//!
//! `conformance!(engine, open)` stamps a named test for each case.

pub(crate) mod accepting;
pub(crate) mod leasing;

/// Stamps all cases for one engine: its name, and an expression that makes an `Engine`.
macro_rules! conformance {
    ($name:ident, $engine:expr) => {
        mod $name {
            $crate::conformance::stamp! { $engine;
                accepting:
                    a_delivery_is_remembered_and_queued,
                    a_known_delivery_gets_the_ids_of_the_first_time,
                    a_known_id_with_another_body_is_a_conflict_and_stores_nothing,
                    a_delivery_is_forgotten_after_its_time,
                    above_the_high_water_mark_nothing_is_stored_or_remembered,
                    parked_jobs_count_for_the_high_water_mark_and_running_ones_do_not,
                    unmapped_records_are_dead_letters_at_once,
                    an_event_of_a_person_with_slashes_and_quotes_reads_back;
                leasing:
                    a_claim_gives_a_lease_a_fence_a_token_and_what_is_known,
                    due_lanes_go_out_oldest_first_and_no_more_than_asked_for,
                    a_lane_has_one_worker_and_its_jobs_go_in_order,
                    a_stale_fence_is_refused_and_changes_nothing,
                    a_lease_that_ran_out_still_settles_while_nobody_took_over,
                    a_renewed_lease_is_not_taken_over,
                    a_lost_lease_cannot_be_renewed,
                    a_take_over_is_counted_and_told,
                    fences_grow_over_all_lanes,
                    without_work_there_is_nothing_to_wait_for,
                    a_claim_says_when_it_is_worth_asking_again;
            }
        }
    };
}

macro_rules! stamp {
    ($engine:expr; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            use $crate::harness::Bench;
            $(mod $case {
                use super::Bench;
                #[tokio::test]
                async fn kept_open() {
                    $crate::conformance::$module::$case(&mut Bench::new($engine, false).await).await;
                }
                #[tokio::test]
                async fn reopened_before_every_step() {
                    $crate::conformance::$module::$case(&mut Bench::new($engine, true).await).await;
                }
            })+
        })+
    };
}

pub(crate) use {conformance, stamp};
