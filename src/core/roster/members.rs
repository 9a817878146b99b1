//! The list of members, and finding a person's member in it.

use std::collections::HashMap;

use crate::core::person::Document;
use crate::core::person::email::compare_key;
use crate::core::reconcile::preview::Team;
use crate::core::reconcile::request::Member;

/// A member as the list shows them.
#[derive(Debug, Clone)]
pub struct ListedMember {
    /// The member.
    pub member: Member,
    /// `externalId`, if there is one.
    pub external_id: Option<String>,
}

/// All members, read in full.
#[derive(Debug, Default)]
pub struct MemberList {
    members: Vec<ListedMember>,
    by_id: HashMap<String, usize>,
    by_address: HashMap<String, Vec<usize>>,
    by_external_id: HashMap<String, Vec<usize>>,
    problem: Option<String>,
}

impl MemberList {
    /// Adds a page. Members seen before (the list changed while it was read, or a page was repeated) are not added
    /// twice. Returns how many were new.
    pub fn add(&mut self, page: Vec<ListedMember>) -> usize {
        let before = self.members.len();
        for listed in page {
            let place = self.members.len();
            if self.by_id.contains_key(&listed.member.id) {
                continue;
            }
            self.by_id.insert(listed.member.id.clone(), place);
            self.by_address.entry(compare_key(&listed.member.user_name)).or_default().push(place);
            if let Some(external_id) = &listed.external_id {
                self.by_external_id.entry(external_id.clone()).or_default().push(place);
            }
            self.members.push(listed);
        }
        self.members.len() - before
    }

    /// Adds the members that only another list has.
    pub fn merge(&mut self, other: Self) {
        self.add(other.members);
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The positions of the members in the list that may be a person's: by the known id, else by HR's address, else by
    /// the known address, else by the `externalId` that the bridge writes; and, while nobody is known, by HR's earlier
    /// addresses. Of members whose addresses differ only in case, all are returned: the plan decides which of them it
    /// is, if any.
    #[must_use]
    pub fn of(&self, document: &Document, finds_by_external_id: bool) -> Vec<usize> {
        let known = document.member.as_ref();
        if let Some(place) = known.and_then(|known| self.by_id.get(known.id.as_ref()?)) {
            return vec![*place];
        }
        let of_id = self.by_external_id.get(&document.person.employee_id);
        let with = |key: &str| self.by_address.get(key).filter(|places| !places.is_empty());
        let by_address = document.record.email().and_then(|email| with(email.key()));
        let alike = by_address.or_else(|| known.and_then(|known| with(&known.address_key())));
        let is_theirs = |place: &&usize| of_id.is_some_and(|of_id| of_id.len() == 1 && of_id.contains(place));
        let theirs = match (alike, of_id) {
            (Some(alike), _) => match alike.iter().find(is_theirs).filter(|_| finds_by_external_id) {
                Some(theirs) => vec![*theirs],
                None => alike.clone(),
            },
            (None, Some(of_id)) if of_id.len() == 1 => of_id.clone(),
            (None, _) => Vec::new(),
        };
        let earlier = document.record.earlier_emails.iter().filter(|_| known.is_none());
        let earlier = earlier.filter_map(|earlier| self.by_address.get(earlier.email.key())).flatten();
        let others: Vec<_> = earlier.filter(|place| !theirs.contains(place)).copied().collect();
        [theirs, others].concat()
    }

    /// Notes what a plan makes of members.
    pub fn update(&mut self, planned: Vec<Member>) {
        for member in planned {
            let Some(place) = self.by_id.get(&member.id).copied() else { continue };
            let Some(listed) = self.members.get_mut(place) else { continue };
            let (before, after) = (compare_key(&listed.member.user_name), compare_key(&member.user_name));
            listed.member = member;
            if before != after {
                if let Some(places) = self.by_address.get_mut(&before) {
                    places.retain(|other| *other != place);
                }
                self.by_address.entry(after).or_default().push(place);
            }
        }
    }

    /// The member at an index.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&ListedMember> {
        self.members.get(place)
    }

    /// All members, by index.
    pub fn all(&self) -> impl Iterator<Item = &ListedMember> {
        self.members.iter()
    }

    /// Whether there is a member with this id.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Notes that the list is not complete.
    pub fn is_lacking(&mut self, problem: String) {
        self.problem = Some(problem);
    }

    /// Why it is incomplete, if it is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.problem.clone()
    }
}

impl Team for MemberList {
    fn with_id(&self, id: &str) -> Option<&Member> {
        Some(&self.at(*self.by_id.get(id)?)?.member)
    }

    fn with_address(&self, user_name: &str, but: &str) -> Option<&Member> {
        let places = self.by_address.get(&compare_key(user_name))?;
        places.iter().filter_map(|place| self.at(*place)).map(|listed| &listed.member).find(|member| member.id != but)
    }
}
