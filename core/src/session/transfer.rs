//! Long messages in parts: the sender (protocol section 11.1).
//!
//! A message above the chunk size goes into the receiver's cache part by part, a few at a time, so that small
//! calls pass between them; then the receiver is told to take it as if it had come in one frame.

use std::collections::HashMap;
use std::ops::Range;

use super::calls::Owner;
use super::draft::{Beside, CallSpec, Speaker};
use super::event::Time;
use super::pace::{Courtesy, Pace, TURN};
use super::push::Leaving;
use super::runs::Run;
use super::session::Session;
use super::spare::Spare;
use crate::codec::{Handle, Package, Promise, Segments, Writer};
use crate::{Error, Result};

/// What a frame may be longer than the chunk size before it is split (protocol section 20).
const SLACK: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Creating,
    Parts,
    Processing,
}

/// The number of a part, and where it stands in the message.
type Part = (usize, Range<usize>);

/// Who wants to know how a transfer goes.
#[derive(Debug)]
pub(super) enum Waiter {
    Nobody,
    /// The call of ours, by session, that this is the request of.
    Call(String),
    /// The peer that this is the reply to.
    Caller(Box<Run>),
    /// The reader of a generator of ours.
    Items(Box<Leaving>),
}

#[derive(Debug)]
pub(super) struct Transfer {
    to: String,
    package: Segments,
    waiter: Waiter,
    beside: Beside,
    key: String,
    stage: Stage,
    /// The number of the next part.
    next: usize,
    /// Where it begins.
    cut: usize,
    open: usize,
    pace: Pace,
    courtesy: Courtesy,
    /// Since when a part lets others go first.
    waiting: Option<Time>,
    spare: Spare,
}

/// All long messages that are leaving.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    by_id: HashMap<u64, Transfer>,
    last: u64,
    /// Short messages that have left beside them.
    others: u64,
    turn: Turn,
}

/// Parts that let others go first.
#[derive(Debug, Default)]
struct Turn {
    waiting: Vec<u64>,
    /// What others had said when the first began to wait.
    heard: u64,
    /// It waits no longer than this.
    until: Time,
}

impl Transfers {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// When parts wait no longer for others.
    pub(super) fn next_check(&self) -> Option<Time> {
        (!self.turn.waiting.is_empty()).then_some(self.turn.until)
    }

    fn wait(&mut self, id: u64, now: Time) {
        let Some(transfer) = self.by_id.get_mut(&id).filter(|transfer| transfer.waiting.is_none()) else {
            return;
        };
        transfer.waiting = Some(now);
        if self.turn.waiting.is_empty() {
            (self.turn.heard, self.turn.until) = (self.others, now + TURN);
        }
        self.turn.waiting.push(id);
    }

    /// Calls that these make.
    pub(super) fn under_way(&self) -> usize {
        self.by_id.values().map(|transfer| transfer.open).sum()
    }

    /// The receiver forgets by itself what it has of a generator's items.
    pub(super) fn forget_leaving(&mut self, source: Handle) {
        self.by_id.retain(
            |_, transfer| !matches!(&transfer.waiter, Waiter::Items(leaving) if leaving.is_of(source)),
        );
    }
}

impl Session {
    /// Sends a frame, in parts when it is long.
    pub(super) fn send_long(
        &mut self,
        to: &str,
        message: impl Into<Package>,
        waiter: Waiter,
        beside: Beside,
        now: Time,
    ) {
        let message = message.into();
        if !self.is_long(message.len()) {
            // other frames are parts' own, or nobody waits for them
            self.transfers.others += u64::from(!matches!(waiter, Waiter::Nobody));
            return self.send(to, message.into_bytes());
        }
        let key = self.new_id();
        self.transfers.last += 1;
        let id = self.transfers.last;
        let transfer = Transfer {
            to: to.to_owned(),
            package: message.without_extras().into_segments(),
            waiter,
            beside,
            key,
            stage: Stage::Creating,
            next: 0,
            cut: 0,
            open: 1,
            pace: Pace::default(),
            courtesy: Courtesy::new(self.transfers.others),
            waiting: None,
            spare: Spare::default(),
        };
        self.transfers.by_id.insert(id, transfer);
        self.cache_call(id, "create", now, None);
    }

    /// Whether a frame of so many bytes goes in parts.
    pub(super) const fn is_long(&self, bytes: usize) -> bool {
        bytes > self.options.chunk_size + SLACK
    }

    pub(super) fn transfer_step_done(&mut self, id: u64, end: Result<()>, now: Time) {
        if let Err(error) = end {
            return self.transfer_failed(id, &error, now);
        }
        let Some(transfer) = self.transfers.by_id.get_mut(&id) else { return };
        transfer.open -= 1;
        let stage = transfer.stage;
        transfer.pace.returned(now, self.options.chunk_size);
        match &mut transfer.waiter {
            Waiter::Nobody | Waiter::Items(_) => {}
            Waiter::Call(session) => self.calls.touch(session, now),
            Waiter::Caller(run) => {
                if run.take_beat(now) {
                    let run = run.clone();
                    self.send_heartbeat(&run);
                }
            }
        }
        match stage {
            Stage::Creating => {
                self.set_stage(id, Stage::Parts);
                self.fill_window(id, now);
            }
            Stage::Parts => self.fill_window(id, now),
            Stage::Processing => {
                let done = self.transfers.by_id.remove(&id);
                if let Some(Transfer { waiter: Waiter::Items(leaving), .. }) = done {
                    self.items_left(&leaving, Ok(()));
                }
            }
        }
    }

    fn set_stage(&mut self, id: u64, stage: Stage) {
        if let Some(transfer) = self.transfers.by_id.get_mut(&id) {
            transfer.stage = stage;
        }
    }

    fn fill_window(&mut self, id: u64, now: Time) {
        let whole = self.options.chunk_size;
        let window = whole.saturating_mul(self.options.chunk_window);
        // Hypha's server counts messages and cuts the connection of who sends too many: parts are whole there.
        let is_courteous = !self.extensions.is_empty();
        let takes_turns = is_courteous && self.options.parts_take_turns;
        while let Some(transfer) = self.transfers.by_id.get_mut(&id)
            && transfer.stage == Stage::Parts
        {
            let start = transfer.cut;
            if start >= transfer.package.len() {
                if transfer.open == 0 {
                    transfer.open = 1;
                    transfer.stage = Stage::Processing;
                    self.cache_call(id, "process", now, None);
                }
                return;
            }
            if !transfer.pace.allows(whole, window) {
                return;
            }
            let others = self.transfers.others;
            if takes_turns && transfer.pace.is_near() && transfer.courtesy.waits(others) {
                return self.transfers.wait(id, now);
            }
            let size = if is_courteous { transfer.courtesy.cut(others, whole) } else { whole };
            let end = transfer.package.len().min(start + size);
            transfer.pace.leaves(end - start, now);
            let part = (transfer.next, start..end);
            transfer.next += 1;
            transfer.cut = end;
            transfer.open += 1;
            self.cache_call(id, "set", now, Some(part));
        }
    }

    /// Sends the parts that waited for others, behind what these have said; whether frames wait to be sent then. Only with
    /// [`Options::parts_take_turns`](super::Options::parts_take_turns).
    pub fn let_parts_follow(&mut self, now: Time) -> bool {
        let turn = &mut self.transfers.turn;
        let is_silent = turn.heard == self.transfers.others;
        if turn.waiting.is_empty() || is_silent && now < turn.until {
            return false;
        }
        for id in std::mem::take(&mut turn.waiting) {
            let Some(transfer) = self.transfers.by_id.get_mut(&id) else { continue };
            if let Some(since) = transfer.waiting.take() {
                transfer.courtesy.waited(now.saturating_sub(since));
            }
            self.fill_window(id, now);
        }
        self.has_frames()
    }

    fn cache_call(&mut self, id: u64, name: &str, now: Time, part: Option<Part>) {
        let Some(transfer) = self.transfers.by_id.get(&id) else { return };
        let (to, key, beside) = (transfer.to.clone(), transfer.key.clone(), transfer.beside.clone());
        let method = format!("services.built-in.message_cache.{name}");
        let spec = CallSpec {
            target: &to,
            method: &method,
            promise: Promise::Star,
            args: if part.is_some() { 4 } else { 2 },
            deadline: beside.deadline.map(|at| at.saturating_sub(now)),
            trace: beside.trace.as_deref(),
            speak_as: beside.speaker.as_ref().map(Speaker::borrowed),
            ..CallSpec::default()
        };
        let is_part = part.is_some();
        let sent = self.begin_call(&spec).and_then(|mut draft| {
            let mut transfer = self.transfers.by_id.get_mut(&id);
            if is_part && let Some(memory) = transfer.as_mut().and_then(|transfer| transfer.spare.take()) {
                draft.writer.move_to(memory);
            }
            write_arguments(&mut draft.writer, &key, part.zip(transfer.map(|transfer| &transfer.package)))?;
            self.send_call(Owner::Transfer(id), draft, now)
        });
        match sent {
            Ok(()) if is_part => self.part_leaves(id),
            Ok(()) => {}
            Err(error) => self.transfer_failed(id, &error, now),
        }
    }

    /// Remembers the frame of a part that was just queued.
    fn part_leaves(&mut self, id: u64) {
        let Some(frame) = self.last_part() else { return };
        if let Some(transfer) = self.transfers.by_id.get_mut(&id) {
            transfer.spare.leaves(frame, self.options.chunk_window);
        }
    }

    /// Nobody reads a generator of ours any longer.
    pub(super) fn stop_leaving(&mut self, source: Handle, now: Time) {
        let is_of = |waiter: &Waiter| matches!(waiter, Waiter::Items(leaving) if leaving.is_of(source));
        self.stop_transfer(is_of, now);
    }

    /// Nobody waits for the answer to a message that is leaving in parts: the rest of it stays here.
    pub(super) fn stop_transfer(&mut self, is_in_vain: impl Fn(&Waiter) -> bool, now: Time) {
        let found = self.transfers.by_id.iter().find(|(_, transfer)| is_in_vain(&transfer.waiter));
        let found = found.map(|(id, _)| *id);
        let Some(transfer) = found.and_then(|id| self.transfers.by_id.remove(&id)) else { return };
        if transfer.stage == Stage::Processing {
            return;
        }
        let spec = CallSpec {
            target: &transfer.to,
            method: "services.built-in.message_cache.remove",
            promise: Promise::Never,
            args: 2,
            speak_as: transfer.beside.speaker.as_ref().map(Speaker::borrowed),
            ..CallSpec::default()
        };
        // what could not be taken back is forgotten by the receiver in time
        _ = self.begin_call(&spec).and_then(|mut draft| {
            write_arguments(&mut draft.writer, &transfer.key, None)?;
            self.send_call(Owner::Transfer(0), draft, now)
        });
    }

    fn transfer_failed(&mut self, id: u64, error: &Error, now: Time) {
        let Some(transfer) = self.transfers.by_id.remove(&id) else { return };
        let text =
            format!("a message of {} bytes could not be sent: {}", transfer.package.len(), error.message());
        let error = Error::new(error.kind(), text);
        match transfer.waiter {
            Waiter::Nobody => {}
            Waiter::Call(session) => {
                if let Some(call) = self.calls.take(&session) {
                    self.end_call(call, Err(error), now);
                }
            }
            Waiter::Caller(run) => self.send_reject(&run, &error, now),
            Waiter::Items(leaving) => self.items_left(&leaving, Err(error)),
        }
    }
}

fn write_arguments(out: &mut Writer, key: &str, part: Option<(Part, &Segments)>) -> Result<()> {
    out.text(key)?;
    if let Some(((index, place), package)) = part {
        out.uint(index as u64)?;
        package.write(place, out)?;
    }
    out.bool(false)
}
