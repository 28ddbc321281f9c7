//! How the tokio thread wakes an event loop without taking the GIL.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Wakes a loop, at once or by a thread of its own.
pub(crate) enum Wake {
    /// A file descriptor that the loop watches.
    #[cfg(unix)]
    Descriptor(descriptor::Descriptor),
    /// For loops that cannot watch one: a small thread waits here and calls into the loop.
    Thread(Arc<Signal>),
}

impl Wake {
    /// Makes the loop drain soon; any thread.
    pub(crate) fn raise(&self) {
        match self {
            #[cfg(unix)]
            Self::Descriptor(descriptor) => descriptor.raise(),
            Self::Thread(signal) => signal.raise(),
        }
    }

    /// Takes the wish back; called by the drain before it takes what waits.
    pub(crate) fn clear(&self) {
        match self {
            #[cfg(unix)]
            Self::Descriptor(descriptor) => descriptor.clear(),
            Self::Thread(_) => {}
        }
    }

    /// No wake-up is wanted any more.
    pub(crate) fn end(&self) {
        if let Self::Thread(signal) = self {
            signal.end();
        }
    }
}

#[derive(Default)]
struct Flags {
    is_raised: bool,
    has_ended: bool,
}

/// What the small thread waits for.
#[derive(Default)]
pub(crate) struct Signal {
    flags: Mutex<Flags>,
    changed: Condvar,
}

impl Signal {
    fn raise(&self) {
        self.flags.lock().is_raised = true;
        self.changed.notify_one();
    }

    fn end(&self) {
        self.flags.lock().has_ended = true;
        self.changed.notify_one();
    }

    /// Waits for the next wish; false at the end.
    pub(crate) fn wait(&self) -> bool {
        let mut flags = self.flags.lock();
        while !flags.is_raised && !flags.has_ended {
            self.changed.wait(&mut flags);
        }
        flags.is_raised = false;
        !flags.has_ended
    }
}

#[cfg(unix)]
pub(crate) mod descriptor {
    //! eventfd on Linux, a pipe elsewhere.

    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use crate::runtime;

    pub(crate) struct Descriptor {
        reader: Option<OwnedFd>,
        /// None where the reader is the writer.
        writer: Option<OwnedFd>,
        generation: u64,
    }

    impl Descriptor {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        pub(crate) fn new() -> io::Result<Self> {
            // SAFETY: the call takes no pointers; a descriptor that it gives is ours alone.
            let reader = unsafe {
                let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
                if fd < 0 {
                    return Err(io::Error::last_os_error());
                }
                OwnedFd::from_raw_fd(fd)
            };
            Ok(Self { reader: Some(reader), writer: None, generation: runtime::generation() })
        }

        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        pub(crate) fn new() -> io::Result<Self> {
            let (reader, writer) = io::pipe()?;
            let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
            for end in [&reader, &writer] {
                // SAFETY: `end` is open; setting a flag touches no memory of ours.
                if unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(Self { reader: Some(reader), writer: Some(writer), generation: runtime::generation() })
        }

        /// What the loop watches.
        pub(crate) fn number(&self) -> i32 {
            self.reader.as_ref().map_or(-1, AsRawFd::as_raw_fd)
        }

        pub(super) fn raise(&self) {
            let Some(fd) = self.writer.as_ref().or(self.reader.as_ref()) else { return };
            let one = 1_u64.to_ne_bytes();
            // SAFETY: `fd` is open and `one` is 8 bytes long. A full descriptor is a wake-up that waits already.
            unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }

        pub(super) fn clear(&self) {
            let Some(fd) = self.reader.as_ref() else { return };
            let mut taken = [0_u8; 512];
            // SAFETY: `fd` is open and `taken` is as long as we say. What a pipe holds beyond it wakes us once more.
            unsafe { libc::read(fd.as_raw_fd(), taken.as_mut_ptr().cast(), taken.len()) };
        }
    }

    impl Drop for Descriptor {
        fn drop(&mut self) {
            // In a forked child the number may be somebody else's by now, or still be watched for the parent.
            if self.generation != runtime::generation() {
                std::mem::forget((self.reader.take(), self.writer.take()));
            }
        }
    }
}
