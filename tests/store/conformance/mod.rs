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
                    a_known_id_is_a_duplicate_whatever_it_says,
                    a_delivery_without_a_key_is_never_a_duplicate,
                    a_delivery_is_forgotten_after_its_time_and_not_before,
                    each_delivery_is_forgotten_in_its_own_time,
                    a_body_is_a_duplicate_only_while_it_is_the_persons_newest,
                    a_body_about_several_people_is_news_for_those_with_a_newer_one,
                    a_body_that_is_not_remembered_any_more_is_news,
                    a_body_about_nobody_is_recognised_when_it_comes_again,
                    a_source_takes_half_of_what_the_others_leave,
                    what_is_refused_leaves_nothing_behind,
                    unmapped_records_have_a_bound_in_number_and_one_in_bytes,
                    blocked_people_take_room_and_are_never_refused,
                    an_entry_makes_a_person_due_if_their_lane_wakes_and_nobody_else,
                    who_is_due_already_keeps_the_place_in_line,
                    a_person_with_slashes_and_quotes_in_the_id_is_one_person;
                committing:
                    a_commit_leaves_the_document_where_it_brings_none,
                    what_came_meanwhile_makes_due_whose_lane_wakes,
                    a_stale_commit_changes_nothing,
                    a_story_is_appended_and_its_oldest_part_goes_at_the_bound,
                    idle_people_lose_their_story_after_its_time_and_others_never,
                    a_dead_letter_is_there_until_a_commit_without_one,
                    who_is_parked_under_a_tag_is_released_longest_first,
                    a_commit_releases_who_is_parked_under_the_tags_that_it_names,
                    who_has_a_worker_is_not_parked,
                    what_an_operator_puts_in_makes_due_whatever_the_lane_and_the_bounds;
                dropping:
                    an_unmapped_record_is_shown_with_its_payload,
                    an_unmapped_record_is_replaced_by_what_it_says_in_one_step,
                    a_record_that_still_cannot_be_mapped_keeps_its_id,
                    an_unmapped_record_is_discarded_once_and_a_blocked_person_never,
                    who_is_erased_leaves_nothing,
                    who_waits_for_what_was_theirs_is_due_once_they_are_erased,
                    who_is_erased_under_a_lease_takes_it_along_and_may_come_again,
                    whom_only_an_unmapped_record_names_is_erased_with_it;
                leasing:
                    a_claim_gives_the_document_the_inbox_and_a_lease,
                    those_go_first_who_have_been_due_longest,
                    a_person_has_one_worker_at_a_time,
                    a_long_inbox_is_given_out_in_parts,
                    an_expired_lease_is_taken_over_before_anybody_who_is_due,
                    a_lease_that_ran_out_still_commits_and_renews_while_nobody_took_over,
                    a_lost_lease_cannot_be_renewed,
                    fences_grow_over_all_people_and_with_time,
                    what_a_claim_got_whose_answer_was_lost_is_given_back_first,
                    a_claim_gives_back_nothing_but_what_it_says_is_lost,
                    the_one_parked_longest_is_claimed_by_its_tag_due_or_not,
                    a_claim_says_when_it_is_worth_asking_again,
                    all_leases_end_uncounted_for_a_process_that_is_alone;
                limiting:
                    tokens_come_at_their_rate_and_each_kind_has_its_own,
                    what_was_taken_is_not_forgotten_by_a_restart,
                    a_backoff_moves_both_kinds_for_everybody,
                    a_backoff_holds_without_a_limit_too;
                looking:
                    people_are_listed_by_number_page_by_page,
                    lanes_are_listed_by_state_longest_first,
                    of_one_instant_lanes_are_listed_each_once,
                    people_are_found_by_the_beginning_of_any_of_their_words,
                    a_page_is_bounded_in_bytes_and_the_listing_is_whole,
                    a_long_inbox_is_shown_by_its_beginning,
                    dead_letters_are_listed_newest_first_and_filtered,
                    the_figures_are_exact,
                    a_shared_document_is_changed_only_by_who_has_seen_it,
                    a_store_is_kept_for_one_target,
                    a_check_proves_that_it_can_write;
                owning:
                    keys_are_owned_all_or_none,
                    keys_are_owned_under_the_fence_only,
                    keys_are_taken_from_somebody_who_is_notified_once,
                    keys_of_which_somebody_has_no_use_are_taken_without_a_word,
                    keys_are_not_taken_from_somebody_whom_a_worker_has,
                    keys_are_not_taken_from_somebody_who_is_not_as_they_were_read,
                    a_commit_gives_up_what_is_the_persons_own_and_nothing_else;
                racing:
                    many_workers_never_share_a_person_and_fold_every_word_once,
                    one_of_many_equal_deliveries_is_stored,
                    many_deliveries_at_once_get_each_its_own_answer,
                    a_sender_that_hangs_up_leaves_it_whole_or_not_at_all,
                    somebody_is_woken_when_there_may_be_work;
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
                what_was_delivered_is_known_in_the_copy,
                copying_again_changes_nothing,
                a_source_that_went_on_is_caught_up_with,
                people_who_are_gone_from_the_source_since_are_reported,
                a_copy_that_is_broken_off_is_held_and_goes_on,
                the_source_is_held_when_all_is_there,
                holds_in_force_arrive,
                a_target_that_is_not_empty_is_refused,
                a_copy_that_was_served_since_is_refused,
                a_store_that_somebody_works_on_is_neither_copied_nor_copied_into,
                a_store_of_another_team_is_refused,
                an_empty_store_is_left_alone,
                a_dry_run_counts_and_writes_nothing,
                many_pages_arrive_whole_whatever_the_bounds;
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
