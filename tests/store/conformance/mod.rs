//! What every engine must do, sentence by sentence of the trait's documentation. Every case runs twice: on a store that
//! stays open, and on one that is closed and reopened before every single step.
//!
//! `conformance!(engine, open)` generates a named test for each case.

pub(crate) mod accepting;
pub(crate) mod committing;
pub(crate) mod copying;
pub(crate) mod dropping;
pub(crate) mod leasing;
pub(crate) mod limiting;
pub(crate) mod looking;
pub(crate) mod owning;
pub(crate) mod racing;

pub(crate) use self::copying::{copying_from, copying_into};

/// Generates all cases for one engine: its name, and an expression that makes an `Engine`.
macro_rules! conformance {
    ($name:ident, $engine:expr) => {
        mod $name {
            $crate::conformance::stamp! { $engine;
                accepting:
                    a_delivery_waits_in_the_inbox_of_each_of_its_people,
                    a_known_id_is_a_duplicate_whatever_its_body,
                    a_delivery_without_a_key_is_never_a_duplicate,
                    a_delivery_is_forgotten_after_its_time_and_not_before,
                    each_delivery_is_forgotten_in_its_own_time,
                    a_body_is_a_duplicate_only_while_it_is_the_persons_newest,
                    a_repeated_body_is_stored_only_for_people_with_a_newer_delivery,
                    a_forgotten_body_is_news,
                    a_repeated_body_about_nobody_is_recognised,
                    a_source_may_use_half_of_the_room_that_others_leave,
                    a_refused_delivery_stores_nothing,
                    unmapped_records_have_a_bound_in_number_and_one_in_bytes,
                    blocked_people_take_room_and_are_never_refused,
                    an_entry_makes_only_its_person_due_if_their_lane_wakes,
                    a_person_already_due_keeps_their_place_in_the_queue,
                    a_person_with_slashes_and_quotes_in_the_id_is_one_person;
                committing:
                    a_commit_without_a_document_keeps_the_old_one,
                    entries_that_arrived_meanwhile_make_a_waking_lane_due,
                    a_stale_commit_changes_nothing,
                    a_story_is_appended_and_its_oldest_part_goes_at_the_bound,
                    idle_people_lose_their_story_after_its_time_and_others_never,
                    a_dead_letter_is_there_until_a_commit_without_one,
                    people_parked_under_a_tag_are_released_longest_first,
                    a_commit_releases_people_parked_under_its_tags,
                    a_commit_puts_entries_into_other_peoples_inboxes,
                    a_leased_person_is_not_parked,
                    an_operators_entry_makes_due_despite_lane_and_bounds;
                dropping:
                    an_unmapped_record_is_shown_with_its_payload,
                    an_unmapped_record_is_replaced_by_its_events_in_one_step,
                    a_record_that_still_cannot_be_mapped_keeps_its_id,
                    an_unmapped_record_is_discarded_once_and_a_blocked_person_never,
                    an_erased_person_leaves_nothing,
                    erasing_a_person_makes_due_those_who_wait_for_their_keys,
                    erasing_a_leased_person_ends_the_lease_and_they_may_return,
                    a_person_named_only_by_an_unmapped_record_is_erased_with_it;
                leasing:
                    a_claim_gives_the_document_the_inbox_and_a_lease,
                    people_due_longest_go_first,
                    a_person_has_one_worker_at_a_time,
                    a_long_inbox_is_given_out_in_parts,
                    an_expired_lease_is_taken_over_before_anybody_who_is_due,
                    an_expired_lease_still_commits_and_renews_until_taken_over,
                    a_lost_lease_cannot_be_renewed,
                    fences_grow_over_all_people_and_with_time,
                    a_lost_claim_is_given_back_first,
                    a_claim_gives_back_only_the_claim_it_names_as_lost,
                    the_person_parked_longest_is_claimed_by_tag_due_or_not,
                    an_empty_claim_says_when_to_ask_again,
                    a_lone_process_ends_all_leases_uncounted;
                limiting:
                    each_kind_of_token_comes_at_its_own_rate,
                    a_restart_does_not_forget_taken_tokens,
                    a_backoff_moves_both_kinds_for_everybody,
                    a_backoff_holds_without_a_limit_too;
                looking:
                    people_are_listed_by_number_page_by_page,
                    lanes_are_listed_by_state_longest_first,
                    lanes_of_one_instant_are_each_listed_once,
                    people_are_found_by_the_beginning_of_any_of_their_words,
                    pages_are_bounded_in_bytes_and_the_listing_is_complete,
                    a_cursor_that_no_page_gave_is_refused,
                    a_long_inbox_is_shown_by_its_beginning,
                    dead_letters_are_listed_newest_first_and_filtered,
                    the_figures_are_exact,
                    a_shared_document_is_changed_only_from_its_latest_version,
                    a_store_is_kept_for_one_target,
                    a_check_proves_that_the_store_can_write;
                owning:
                    keys_are_owned_all_or_none,
                    keys_are_owned_under_the_fence_only,
                    keys_are_taken_from_a_person_who_is_notified_once,
                    unused_keys_are_taken_without_notice,
                    keys_are_not_taken_from_a_leased_person,
                    keys_are_not_taken_from_a_person_who_changed_since_the_read,
                    a_commit_gives_up_only_the_persons_own_keys;
                racing:
                    many_workers_never_share_a_person_and_fold_every_event_once,
                    one_of_many_equal_deliveries_is_stored,
                    each_of_many_simultaneous_deliveries_gets_its_own_answer,
                    a_sender_that_hangs_up_leaves_a_whole_delivery_or_none,
                    a_waiting_worker_is_woken_when_there_may_be_work;
            }
            $crate::conformance::stamp_copying! { $engine; copying_from, copying_into }
        }
    };
}

/// The cases of copying, for each of these modules.
macro_rules! stamp_copying {
    ($engine:expr; $($module:ident),+) => {
        $($crate::conformance::stamp! {
            $engine;
            $module:
                everything_arrives_as_it_was,
                the_copy_remembers_past_deliveries,
                copying_again_changes_nothing,
                a_copy_catches_up_with_a_source_that_went_on,
                people_erased_from_the_source_meanwhile_are_reported,
                an_interrupted_copy_is_held_and_continues,
                the_source_is_held_once_everything_is_copied,
                holds_in_force_arrive,
                a_target_that_is_not_empty_is_refused,
                a_copy_that_has_served_since_is_refused,
                a_store_in_use_is_neither_copied_nor_copied_into,
                a_store_of_another_team_is_refused,
                an_empty_store_is_left_alone,
                a_dry_run_counts_and_writes_nothing,
                many_pages_arrive_complete_despite_the_bounds;
        })+
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

pub(crate) use {conformance, stamp, stamp_copying};
