//! Wakes at a time of the wall clock. The kernel also wakes it when somebody sets the clock, so nothing looks at the clock
//! again and again, and a clock that jumps, or a machine that slept, makes nothing early or late.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::knobs::knobs;
use crate::model::UnixMillis;

pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    #[expect(deprecated, reason = "the other form is unsafe, for what does not own its file")]
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Resolves at that time, or when the clock is set: look at it then.
    pub(super) async fn wait(&self, at: UnixMillis) -> io::Result<()> {
        tokio::select! {
            rung = self.rings(at) => rung,
            () = looks() => Ok(()),
        }
    }

    async fn rings(&self, at: UnixMillis) -> io::Result<()> {
        // Zero would switch the timer off.
        let millis = i64::try_from(at.millis().max(1)).unwrap_or(i64::MAX);
        let at = Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 };
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        timerfd_settime(self.0.get_ref(), flags, &Itimerspec { it_interval: once, it_value: at })?;
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|timer| {
                let mut times = [0; 8];
                rustix::io::read(timer.get_ref(), &mut times).map_err(io::Error::from)
            });
            match read {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) if Errno::from_io_error(&error) == Some(Errno::CANCELED) => {
                    return Ok(());
                }
                Ok(Err(error)) => return Err(error),
                // It rang for a time that it was set to before.
                Err(_would_block) => {}
            }
        }
    }
}

/// The clock of a test jumps without the kernel's knowing.
async fn looks() {
    match knobs().clock_look {
        Some(every) => tokio::time::sleep(every).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime, clock_settime};

    use super::*;

    #[tokio::test]
    #[ignore = "sets the machine's clock, to the time that it shows; needs CAP_SYS_TIME"]
    async fn it_rings_when_the_clock_is_set() {
        let alarm = Alarm::new().unwrap();
        let set = async {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                clock_settime(ClockId::Realtime, clock_gettime(ClockId::Realtime)).unwrap();
            }
        };
        tokio::select! {
            rung = alarm.wait(UnixMillis::now().after(Duration::from_hours(1))) => rung.unwrap(),
            () = set => {}
        }
    }

    #[tokio::test]
    async fn it_rings_at_once_for_what_is_over_and_never_early() {
        let alarm = Alarm::new().unwrap();
        alarm.wait(UnixMillis::now().before(Duration::from_hours(1))).await.unwrap();
        for ahead in [0, 1, 30] {
            let at = UnixMillis::now().after(Duration::from_millis(ahead));
            alarm.wait(at).await.unwrap();
            assert!(UnixMillis::now() >= at, "early for {ahead} ms");
        }
        let far = UnixMillis::now().after(Duration::from_hours(1));
        let gone = tokio::time::timeout(Duration::from_millis(1), alarm.wait(far)).await;
        assert!(gone.is_err());
        // What it was set to before does not count.
        let at = UnixMillis::now().after(Duration::from_millis(60));
        alarm.wait(at).await.unwrap();
        assert!(UnixMillis::now() >= at);
    }
}
