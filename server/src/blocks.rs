//! Who is kept out: users, addresses, workspaces. Kept in the database, looked up in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::auth::UserInfo;
use crate::clock;

/// What may be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user, with all tokens that it has made.
    User,
    /// An address of the network.
    Address,
    /// A workspace, with all who are in it.
    Workspace,
}

impl Subject {
    /// The name of it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Address => "address",
            Self::Workspace => "workspace",
        }
    }

    /// What is called so.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::User, Self::Address, Self::Workspace].into_iter().find(|subject| subject.word() == word)
    }
}

/// One who is kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub subject: Subject,
    /// The id of the user, the address, the name of the workspace.
    pub name: String,
    /// Why, for those who are kept out.
    pub reason: String,
    /// The user who said so.
    pub by: String,
    /// Since when, in seconds since 1970.
    pub at: u64,
    /// Until when, in seconds since 1970; `None` for ever.
    pub until: Option<u64>,
}

/// All who are kept out.
#[derive(Debug, Default)]
pub struct Blocks {
    blocked: RwLock<HashMap<(Subject, String), Block>>,
    /// So that nothing is looked up while nobody is.
    count: AtomicUsize,
}

impl Blocks {
    /// Takes over what is kept in the database.
    pub fn load(&self, blocks: Vec<Block>) {
        blocks.into_iter().for_each(|block| self.put(block));
    }

    /// Keeps somebody out.
    pub fn put(&self, block: Block) {
        let mut blocked = self.blocked.write();
        blocked.insert((block.subject, block.name.clone()), block);
        self.count.store(blocked.len(), Ordering::Release);
    }

    /// Lets somebody in again; says whether that was news.
    pub fn remove(&self, subject: Subject, name: &str) -> bool {
        let mut blocked = self.blocked.write();
        let removed = blocked.remove(&(subject, name.to_owned())).is_some();
        self.count.store(blocked.len(), Ordering::Release);
        removed
    }

    /// All who are kept out now.
    #[must_use]
    pub fn all(&self) -> Vec<Block> {
        let now = clock::now();
        self.blocked.read().values().filter(|block| is_due(block, now)).cloned().collect()
    }

    /// Why somebody is kept out: the user, whoever made its token, the workspace or the address.
    #[must_use]
    pub fn find(&self, user: &UserInfo, workspace: &str, address: Option<IpAddr>) -> Option<String> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let users = [Some(user.id.as_str()), user.parent.as_deref()];
        let user = users.into_iter().flatten().find_map(|id| self.why(Subject::User, id));
        user.or_else(|| self.why(Subject::Workspace, workspace)).or_else(|| self.find_address(address))
    }

    /// Why an address is kept out.
    #[must_use]
    pub fn find_address(&self, address: Option<IpAddr>) -> Option<String> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.why(Subject::Address, &address?.to_canonical().to_string())
    }

    fn why(&self, subject: Subject, name: &str) -> Option<String> {
        let blocked = self.blocked.read();
        let block = blocked.get(&(subject, name.to_owned())).filter(|block| is_due(block, clock::now()))?;
        let reason = if block.reason.is_empty() { "ask whoever runs the server" } else { &block.reason };
        Some(format!("This {} is blocked: {reason}", subject.word()))
    }
}

fn is_due(block: &Block, now: u64) -> bool {
    block.until.is_none_or(|until| now < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(blocks: &Blocks, subject: Subject, name: &str, until: Option<u64>) {
        let (reason, by) = ("noise".to_owned(), "root".to_owned());
        blocks.put(Block { subject, name: name.to_owned(), reason, by, at: 0, until });
    }

    fn user(id: &str, parent: Option<&str>) -> UserInfo {
        UserInfo { id: id.to_owned(), parent: parent.map(str::to_owned), ..UserInfo::default() }
    }

    #[test]
    fn users_workspaces_and_addresses_are_kept_out() {
        let (blocks, address) = (Blocks::default(), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(blocks.find(&user("ann", None), "lab", address), None);
        put(&blocks, Subject::User, "ann", None);
        put(&blocks, Subject::Workspace, "den", None);
        put(&blocks, Subject::Address, "10.0.0.2", None);
        let why = |kind: &str| Some(format!("This {kind} is blocked: noise"));
        assert_eq!(blocks.find(&user("ann", None), "lab", address), why("user"));
        assert_eq!(blocks.find(&user("token-of-ann", Some("ann")), "lab", address), why("user"));
        assert_eq!(blocks.find(&user("bob", None), "den", address), why("workspace"));
        assert_eq!(blocks.find(&user("bob", None), "lab", address), None);
        let mapped = "::ffff:10.0.0.2".parse().ok();
        assert_eq!(blocks.find(&user("bob", None), "lab", mapped), why("address"));
        assert!(blocks.remove(Subject::User, "ann") && !blocks.remove(Subject::User, "ann"));
        assert_eq!(blocks.find(&user("ann", None), "lab", None), None);
    }

    #[test]
    fn a_block_has_an_end() {
        let blocks = Blocks::default();
        put(&blocks, Subject::User, "ann", Some(1));
        put(&blocks, Subject::User, "bob", Some(u64::MAX));
        assert_eq!(blocks.find(&user("ann", None), "lab", None), None);
        assert!(blocks.find(&user("bob", None), "lab", None).is_some());
        assert_eq!(blocks.all().len(), 1);
    }
}
