//! How this system is asked for large pages; see [`polyfn_core::memory`].

/// Asks for them behind the memory from `start` on.
#[cfg(target_os = "linux")]
pub(crate) fn ask(start: *const u8, len: usize) {
    const PAGE: usize = 4096;
    // Whole pages: an allocation that is advised in part could not be grown in its place any longer.
    let first = start as usize / PAGE * PAGE;
    let len = (start as usize + len).next_multiple_of(PAGE) - first;
    // SAFETY: it is advice on how memory is had. It changes no content, and where it cannot be followed it is refused.
    unsafe { libc::madvise(first as *mut libc::c_void, len, libc::MADV_HUGEPAGE) };
}

/// There is nothing to ask for.
#[cfg(not(target_os = "linux"))]
pub(crate) const fn ask(_start: *const u8, _len: usize) {}
