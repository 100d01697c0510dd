//! Ends the execution of the guest at a given time: a signal interrupts `KVM_RUN`.
#![allow(unsafe_code)]

use std::{io, ptr, time::Duration};

/// Interval of the signals. A signal that arrives before the guest is entered has no effect, so another one must
/// follow.
const INTERVAL: Duration = Duration::from_millis(1);

/// The alarm of the process, which has one thread.
pub struct Alarm {
    /// Time for which the alarm is set.
    deadline: Option<Duration>,
}

extern "C" fn on_signal(_signal: libc::c_int) {}

impl Alarm {
    pub fn new() -> io::Result<Self> {
        let handler: extern "C" fn(libc::c_int) = on_signal;
        // SAFETY: the handler does nothing, so it can interrupt any code.
        let before = unsafe { libc::signal(libc::SIGALRM, handler as libc::sighandler_t) };
        if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(Self { deadline: None }) }
    }

    /// Sets the alarm for `deadline`, unless it is set for this time already.
    pub fn set(&mut self, now: Duration, deadline: Duration) -> io::Result<()> {
        if self.deadline == Some(deadline) {
            return Ok(());
        }
        self.deadline = Some(deadline);
        // Rounded up to a microsecond: the value 0 would clear the timer.
        let left = deadline.saturating_sub(now) + Duration::from_micros(1);
        set_timer(left, INTERVAL)
    }

    /// Clears the alarm.
    pub fn clear(&mut self) -> io::Result<()> {
        self.deadline = None;
        set_timer(Duration::ZERO, Duration::ZERO)
    }
}

/// Sends a signal after `first`, and then one every `interval`.
fn set_timer(first: Duration, interval: Duration) -> io::Result<()> {
    let value = |time: Duration| libc::timeval {
        tv_sec: time.as_secs() as libc::time_t,
        tv_usec: time.subsec_micros() as libc::suseconds_t,
    };
    let timer = libc::itimerval { it_interval: value(interval), it_value: value(first) };
    // SAFETY: the kernel reads `timer`, which is alive, and writes nothing.
    match unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
