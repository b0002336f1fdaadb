//! What waits for a committer thread. Most of it wakes the thread; the rest is content to be done with what comes next,
//! or within a second.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is done with something else, or after this long at the latest.
const LATER: Duration = Duration::from_secs(1);
/// As many that could be done later are done now: they take memory.
const MANY: usize = 64;

/// Whether it wakes the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    Now,
    Later,
}

/// Where the thread takes what others put in. It can be shut from both sides.
pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    woken: Condvar,
}

struct Waiting<T> {
    all: VecDeque<T>,
    /// Something wants to be done now.
    hasty: bool,
    /// Nobody is left to put anything in, or nobody to take it out.
    shut: bool,
    /// Until when the thread sleeps, while it does.
    asleep: Option<Instant>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Arc<Self> {
        let waiting = Waiting { all: VecDeque::new(), hasty: false, shut: false, asleep: None };
        Arc::new(Self { waiting: Mutex::new(waiting), woken: Condvar::new() })
    }

    /// Whether it was put in: not when the queue is shut.
    pub(crate) fn put(&self, one: T, haste: Haste) -> bool {
        let mut waiting = self.lock();
        if waiting.shut {
            return false;
        }
        waiting.all.push_back(one);
        waiting.hasty |= haste == Haste::Now || waiting.all.len() >= MANY;
        let hasty = waiting.hasty;
        let wake = waiting.asleep.is_some_and(|until| hasty || until > Instant::now() + LATER);
        if wake {
            // Once is enough, however much comes before it runs.
            waiting.asleep = None;
        }
        drop(waiting);
        if wake {
            self.woken.notify_one();
        }
        true
    }

    /// Up to `most` of what waits, in order, once something wants to be done or that long has passed. `None` when the queue
    /// is shut and empty.
    pub(crate) fn take(&self, most: usize, patience: Duration) -> Option<Vec<T>> {
        let mut waiting = self.lock();
        let mut until = Instant::now() + patience;
        while !waiting.hasty && !waiting.shut {
            let now = Instant::now();
            if !waiting.all.is_empty() {
                // What woke the thread can wait; it only must not wait until then.
                until = until.min(now + LATER);
            }
            if until <= now {
                break;
            }
            waiting.asleep = Some(until);
            let sleeps = |waiting: &mut Waiting<T>| waiting.asleep.is_some() && !waiting.shut;
            let woken = self.woken.wait_timeout_while(waiting, until - now, sleeps);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            waiting.asleep = None;
        }
        if waiting.shut && waiting.all.is_empty() {
            return None;
        }
        let many = most.min(waiting.all.len());
        let taken = waiting.all.drain(..many).collect();
        waiting.hasty &= !waiting.all.is_empty();
        Some(taken)
    }

    /// Nothing comes in any more.
    pub(crate) fn shut(&self) {
        self.lock().shut = true;
        self.woken.notify_one();
    }

    /// Nothing comes in or goes out any more; what waits is dropped.
    pub(crate) fn clear(&self) {
        let mut waiting = self.lock();
        waiting.shut = true;
        let left = std::mem::take(&mut waiting.all);
        drop(waiting);
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_can_wait_goes_with_what_cannot_and_in_order() {
        let queue = Queue::new();
        queue.put(1, Haste::Later);
        queue.put(2, Haste::Now);
        queue.put(3, Haste::Later);
        assert_eq!(queue.take(2, LONG), Some(vec![1, 2]));
        assert_eq!(queue.take(2, LONG), Some(vec![3]), "left over, and taken at once");
        queue.put(4, Haste::Later);
        assert_eq!(queue.take(2, Duration::ZERO), Some(vec![4]), "its time has come");
        assert_eq!(queue.take(2, Duration::ZERO), Some(vec![]));
    }

    #[test]
    fn many_that_can_wait_do_not() {
        let queue = Queue::new();
        (0..MANY).for_each(|n| assert!(queue.put(n, Haste::Later)));
        assert_eq!(queue.take(MANY, LONG).map(|taken| taken.len()), Some(MANY));
    }

    #[test]
    fn a_sleeper_is_woken_by_what_cannot_wait_and_by_the_end() {
        let queue = Queue::new();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| (queue.take(9, LONG), queue.take(9, LONG)));
            queue.put(1, Haste::Now);
            while !queue.lock().all.is_empty() {
                std::thread::yield_now();
            }
            queue.shut();
            assert_eq!(sleeper.join().unwrap(), (Some(vec![1]), None));
        });
        assert!(!queue.put(2, Haste::Now));
    }

    #[test]
    fn a_sleeper_is_not_woken_for_each_that_can_wait() {
        let queue = Queue::new();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let mut taken = Vec::new();
                while taken.last() != Some(&3) {
                    taken.extend(queue.take(9, LONG).unwrap());
                }
                taken
            });
            let sleeps = |soon: bool| {
                let waiting = queue.lock();
                let near = |until: Instant| until <= Instant::now() + LATER;
                waiting.asleep.is_some_and(|until| near(until) == soon)
                    || (soon && waiting.all.is_empty())
            };
            let settle = |soon| {
                while !sleeps(soon) {
                    std::thread::yield_now();
                }
            };
            settle(false);
            queue.put(1, Haste::Later);
            settle(true);
            queue.put(2, Haste::Later);
            assert!(sleeps(true), "woken once more");
            queue.put(3, Haste::Now);
            assert_eq!(sleeper.join().unwrap(), [1, 2, 3]);
        });
    }
}
