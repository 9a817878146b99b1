//! Times that the bridge noted while its clock was wrong.

use super::{Document, GROUPS_PAUSE_MS_MAX};
use crate::core::time::UnixMs;

/// A longer pause between two tries is an effect of a clock that was set back.
const PAUSE_MS_MAX: u64 = 3_600_000;

impl Document {
    /// Corrects times that the bridge noted while its clock was wrong: later than `now`, or before there was a bridge.
    /// They become `now`; otherwise a pause would last until the clock has caught up, or trouble would seem to have
    /// gone on for decades. Times that HR gave are left as they are.
    pub fn set_right(&mut self, now: UnixMs) {
        let member = self.member.iter_mut().flat_map(|member| {
            let written = [
                &mut member.created_at,
                &mut member.user_name_written_at,
                &mut member.names_written_at,
                &mut member.active_written_at,
            ];
            written.into_iter().flatten().chain([&mut member.seen_at])
        });
        let progress = &mut self.progress;
        let done = [
            progress.create_unknown.as_mut().map(|unknown| &mut unknown.at),
            progress.standstill.as_mut().map(|standstill| &mut standstill.since),
            progress.failing_since.as_mut(),
            progress.woken_at.as_mut(),
            progress.refused_at.as_mut(),
            self.paged.as_mut().map(|(at, _)| at),
            self.looked.as_mut().map(|looked| &mut looked.at),
            self.waiting_since.as_mut(),
            self.groups_wait.as_mut().map(|wait| &mut wait.since),
            self.trouble.as_mut().and_then(|trouble| trouble.tried_at.as_mut()),
        ];
        let unshown = progress.unshown.iter_mut().map(|write| &mut write.at);
        for at in member.chain(done.into_iter().flatten()).chain(unshown) {
            *at = at.set_right(now);
        }
        let again_at = &mut self.progress.again_at;
        *again_at = again_at.map(|at| at.min(now.plus_ms(PAUSE_MS_MAX)));
        for write in self.member.iter_mut().flat_map(|member| &mut member.open_writes) {
            write.until = write.until.min(now.plus_ms(PAUSE_MS_MAX));
        }
        if let Some(wait) = &mut self.groups_wait {
            wait.due = wait.due.min(now.plus_ms(GROUPS_PAUSE_MS_MAX));
        }
        if let Some(owed) = &mut self.owed_read {
            owed.set_right(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fetch::verdict::OwedRead;
    use crate::core::person::document::{GroupsWait, UnknownCreate};
    use crate::core::person::{Person, SourceName};
    use crate::core::time::EARLIEST;

    #[test]
    fn acts_dated_by_a_fast_clock_count_as_done_now() {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        let (now, ahead) = (UnixMs(1_000), UnixMs(3_600_000));
        let mut document = Document::new(person);
        document.waiting_since = Some(UnixMs(7));
        document.paged = Some((ahead, "a@example.com".to_owned()));
        document.progress.create_unknown = Some(UnknownCreate::made(ahead, true));
        document.progress.failing_since = Some(ahead);
        OwedRead::note(&mut document.owed_read, ahead, false);
        document.owed_read.as_mut().unwrap().not_before = Some(UnixMs(ahead.0 * 5));
        document.groups_wait = Some(GroupsWait { since: ahead, due: UnixMs(i64::MAX), forbidden: None });
        document.set_right(now);
        let wait = document.groups_wait.unwrap();
        assert_eq!((wait.since, wait.due), (now, now.plus_ms(GROUPS_PAUSE_MS_MAX)));
        assert_eq!((document.waiting_since, document.paged.map(|(at, _)| at)), (Some(UnixMs(7)), Some(now)));
        assert_eq!(document.progress.create_unknown.map(|unknown| unknown.at), Some(now));
        assert_eq!(document.progress.failing_since, Some(now));
        let owed = document.owed_read.unwrap();
        assert_eq!((owed.first_at, owed.last_at), (now, now));
        assert!(owed.due(0, false) <= now.plus_ms(3_600_000), "no longer than the longest pause");
    }

    #[test]
    fn acts_dated_before_the_bridge_existed_come_from_a_wrong_clock() {
        let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
        let (now, before) = (EARLIEST.plus_ms(1_000), UnixMs(60_000));
        let mut document = Document::new(person);
        document.progress.failing_since = Some(before);
        document.progress.create_unknown = Some(UnknownCreate::made(before, true));
        OwedRead::note(&mut document.owed_read, before, false);
        document.owed_read.as_mut().unwrap().failing_since = Some(before);
        document.set_right(now);
        assert_eq!(document.progress.failing_since, Some(now), "it is not given up");
        assert_eq!(document.progress.create_unknown.map(|unknown| unknown.at), Some(now));
        let owed = document.owed_read.unwrap();
        assert_eq!((owed.first_at, owed.last_at, owed.failing_since), (now, now, Some(now)));
    }
}
