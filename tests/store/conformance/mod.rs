//! What any engine must do, sentence by sentence of the trait's documentation. Every case runs twice:
//! on a store that stays open, and on one that is closed and opened again before every single step.
//!
//! `conformance!(engine, open)` stamps a named test for each case.

pub(crate) mod accepting;
pub(crate) mod copying;
pub(crate) mod dead_letters;
pub(crate) mod holding;
pub(crate) mod leasing;
pub(crate) mod limiting;
pub(crate) mod looking;
pub(crate) mod racing;
pub(crate) mod settling;

pub(crate) use self::copying::{copying_from, copying_into};

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
                    many_deliveries_are_known_each_by_its_own_id,
                    deliveries_are_forgotten_each_in_its_time_however_they_came,
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
                    what_a_claim_got_whose_answer_was_lost_is_given_back_uncounted,
                    a_claim_gives_back_nothing_but_what_it_says_is_lost,
                    a_trial_that_nobody_heard_of_is_over_when_it_is_given_back,
                    a_lease_is_of_its_job_only,
                    fences_grow_over_all_lanes,
                    without_work_there_is_nothing_to_wait_for,
                    a_claim_says_when_it_is_worth_asking_again;
                settling:
                    a_finished_job_leaves_its_lane_and_is_kept,
                    a_retry_waits_at_the_head_of_its_lane,
                    an_uncounted_retry_counts_nothing,
                    a_job_given_back_is_due_at_once_and_uncounted,
                    a_held_job_stays_at_the_head_uncounted_and_sets_the_hold,
                    a_dead_hire_parks_its_lane,
                    a_lane_that_was_empty_when_its_hire_died_is_parked_too,
                    a_dead_rename_lets_the_next_job_run,
                    what_was_learnt_about_the_person_is_kept,
                    history_is_appended_and_bounded;
                dead_letters:
                    a_replayed_hire_runs_before_what_waited_behind_it,
                    a_replayed_job_starts_anew_but_keeps_its_place_and_what_it_must_know,
                    a_replay_does_not_disturb_a_lease_of_its_lane,
                    a_replay_overtakes_a_retry_that_is_not_due,
                    a_replayed_rename_waits_with_a_parked_lane,
                    a_discarded_hire_lets_its_lane_go_on,
                    a_discard_with_nothing_behind_it_frees_the_lane,
                    an_unmapped_record_is_replaced_by_the_jobs_made_of_it,
                    a_dead_job_is_not_replayed_as_something_else,
                    dead_letters_are_listed_newest_first_page_by_page,
                    dead_letters_are_never_trimmed;
                holding:
                    a_hold_of_all_keeps_everything_waiting,
                    a_hold_of_creates_lets_renames_go_on,
                    an_expired_lease_is_not_taken_over_while_it_is_held,
                    one_trial_at_a_time_shows_whether_the_target_serves,
                    the_pauses_between_failed_trials_grow_up_to_their_cap,
                    a_trial_that_nobody_settles_ends_with_its_lease,
                    a_trial_given_back_leaves_the_hold,
                    without_a_job_for_it_the_probe_is_a_call_of_its_own,
                    a_passed_probe_lifts_the_hold,
                    a_probe_that_nobody_settles_ends_with_its_lease,
                    a_hold_of_creates_is_tried_with_a_hire_only,
                    what_is_documented_for_creates_is_tried_with_a_hire_first,
                    a_hire_that_is_short_of_a_token_is_waited_for_to_be_the_trial,
                    with_both_holds_that_of_all_gates_first,
                    many_that_see_the_same_refusal_set_one_hold,
                    a_hold_that_comes_back_at_once_goes_on_with_its_pauses,
                    an_operators_hold_is_lifted_by_an_operator_only,
                    a_hold_of_a_code_is_lifted_and_another_in_its_place_stays,
                    an_operator_takes_a_hold_over,
                    a_trial_waits_for_its_token,
                    the_time_to_give_up_begins_anew_after_a_hold;
                limiting:
                    tokens_come_at_their_rate_and_each_kind_has_its_own,
                    what_was_taken_is_not_forgotten_by_a_restart,
                    a_backoff_moves_both_kinds_for_everybody,
                    a_backoff_holds_without_a_limit_too,
                    a_claim_takes_a_token_for_each_job,
                    without_writes_the_renames_go_on_and_the_other_way_round,
                    a_claim_of_nothing_takes_no_token,
                    a_take_over_waits_for_a_token_too;
                looking:
                    every_state_is_in_the_figures,
                    the_oldest_due_job_tells_since_when,
                    jobs_are_listed_by_state_newest_first_page_by_page,
                    many_jobs_whose_ids_come_in_any_order_are_listed_whole,
                    a_person_is_shown_whole_and_a_stranger_not_at_all,
                    finished_jobs_go_after_their_time,
                    finished_jobs_are_bounded_in_number_while_they_come,
                    remembered_deliveries_go_after_their_time,
                    waiting_jobs_never_go,
                    a_ping_proves_that_it_can_write;
                copying_from:
                    everything_arrives_as_it_was,
                    copying_again_changes_nothing,
                    what_the_target_has_done_since_stays_done,
                    a_job_whose_worker_is_gone_counts_as_taken_over,
                    what_comes_late_goes_before_what_the_target_accepted_since,
                    a_source_that_went_on_is_caught_up_with,
                    a_store_that_has_accepted_events_itself_is_refused,
                    two_stores_come_together_the_older_first,
                    a_newer_entry_of_the_directory_stays,
                    many_pages_arrive_whole_above_the_high_water_mark,
                    a_dry_run_counts_and_writes_nothing,
                    the_source_is_held_when_all_is_there;
                copying_into:
                    everything_arrives_as_it_was,
                    copying_again_changes_nothing,
                    what_the_target_has_done_since_stays_done,
                    a_job_whose_worker_is_gone_counts_as_taken_over,
                    what_comes_late_goes_before_what_the_target_accepted_since,
                    a_source_that_went_on_is_caught_up_with,
                    a_store_that_has_accepted_events_itself_is_refused,
                    two_stores_come_together_the_older_first,
                    a_newer_entry_of_the_directory_stays,
                    many_pages_arrive_whole_above_the_high_water_mark,
                    a_dry_run_counts_and_writes_nothing,
                    the_source_is_held_when_all_is_there;
                racing:
                    many_workers_never_share_a_lane_and_keep_its_order,
                    one_of_many_equal_deliveries_is_stored,
                    many_deliveries_at_once_get_each_its_own_answer,
                    a_sender_that_hangs_up_leaves_it_whole_or_not_at_all;
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
