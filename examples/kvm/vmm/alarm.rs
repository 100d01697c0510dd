//! Brings the processor out of the guest at a given moment: a signal interrupts `KVM_RUN`.
#![allow(unsafe_code)]

use std::{io, ptr, time::Duration};

/// A signal that comes too early, before the guest is entered, is followed by the next.
const AGAIN: Duration = Duration::from_millis(1);

/// The process' one alarm. The process has one thread.
pub struct Alarm {
    /// The moment for which it is set.
    moment: Option<Duration>,
}

extern "C" fn on_signal(_signal: libc::c_int) {}

impl Alarm {
    pub fn new() -> io::Result<Self> {
        let handler: extern "C" fn(libc::c_int) = on_signal;
        // SAFETY: the handler does nothing, so whatever it interrupts is safe from it.
        let before = unsafe { libc::signal(libc::SIGALRM, handler as libc::sighandler_t) };
        if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(Self { moment: None }) }
    }

    /// Sets it for `moment`, unless it is already.
    pub fn set(&mut self, now: Duration, moment: Duration) -> io::Result<()> {
        if self.moment == Some(moment) {
            return Ok(());
        }
        self.moment = Some(moment);
        // Rounded up; and nothing left would switch it off.
        let left = moment.saturating_sub(now) + Duration::from_micros(1);
        set_timer(left, AGAIN)
    }

    /// Switches it off.
    pub fn clear(&mut self) -> io::Result<()> {
        self.moment = None;
        set_timer(Duration::ZERO, Duration::ZERO)
    }
}

/// The first signal after `first`, and then one every `interval`.
fn set_timer(first: Duration, interval: Duration) -> io::Result<()> {
    let value = |time: Duration| libc::timeval {
        tv_sec: time.as_secs() as libc::time_t,
        tv_usec: time.subsec_micros() as libc::suseconds_t,
    };
    let timer = libc::itimerval { it_interval: value(interval), it_value: value(first) };
    // SAFETY: the kernel reads `timer`, which lives, and writes nothing.
    match unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
