//! Places for work with whole files. Downloads from callers' URLs have their own, because a stranger's host says how long
//! they take: a slow one holds up only its device's further downloads, and never a file that is here already.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How many files are fetched at once, whosever they are.
const DOWNLOADS: usize = 16;
/// How many of them one device may fetch.
const DOWNLOADS_EACH: usize = 2;
/// How many files are encrypted at once.
const ENCRYPTIONS: usize = 4;
/// How many are converted at once, which is a processor's whole work. One device converts one at a time.
const CONVERSIONS: usize = 2;

/// The places of one device. Those beyond its own are shared with the others; whoever waits longest comes first, and no
/// device waits with more than its own few.
#[derive(Clone)]
pub(crate) struct Places {
    downloads: Arc<Semaphore>,
    encryptions: Arc<Semaphore>,
    conversions: Arc<Semaphore>,
    own_conversions: Arc<Semaphore>,
    own_downloads: Arc<Semaphore>,
    waiting: watch::Sender<usize>,
}

/// Taken until it is dropped.
pub(crate) struct Place {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Place {
    /// One of the device's own places, then one of all devices'.
    async fn of(own: &Arc<Semaphore>, shared: &Arc<Semaphore>) -> Self {
        let own = Arc::clone(own).acquire_owned().await;
        let shared = Arc::clone(shared).acquire_owned().await;
        Self { _permits: own.into_iter().chain(shared).collect() }
    }
}

impl Places {
    pub(crate) fn new() -> Self {
        Self {
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            encryptions: Arc::new(Semaphore::new(ENCRYPTIONS)),
            conversions: Arc::new(Semaphore::new(CONVERSIONS)),
            own_conversions: Arc::new(Semaphore::new(1)),
            own_downloads: Arc::new(Semaphore::new(DOWNLOADS_EACH)),
            waiting: watch::Sender::new(0),
        }
    }

    /// The places of another device.
    pub(crate) fn of_device(&self) -> Self {
        Self {
            downloads: Arc::clone(&self.downloads),
            encryptions: Arc::clone(&self.encryptions),
            conversions: Arc::clone(&self.conversions),
            ..Self::new()
        }
    }

    pub(crate) async fn download(&self) -> Place {
        let waiting = Waiting::begin(&self.waiting);
        let place = Place::of(&self.own_downloads, &self.downloads).await;
        drop(waiting);
        place
    }

    pub(crate) async fn conversion(&self) -> Place {
        Place::of(&self.own_conversions, &self.conversions).await
    }

    pub(crate) async fn encryption(&self) -> Place {
        let place = Arc::clone(&self.encryptions).acquire_owned().await;
        Place { _permits: place.into_iter().collect() }
    }

    /// How many of the device's downloads have no place yet.
    pub(crate) fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }
}

/// Counted until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn begin(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_device_with_many_downloads_leaves_places_to_others() {
        let fleet = Places::new();
        let devices: Vec<Places> = (0..8).map(|_| fleet.of_device()).collect();
        let (busy, others) = devices.split_first().unwrap();
        let mut held: Vec<Place> = (0..40).filter_map(|_| busy.download().now_or_never()).collect();
        assert_eq!(held.len(), DOWNLOADS_EACH);
        for other in others {
            held.extend(
                [other.download(), other.download()].map(|place| place.now_or_never().unwrap()),
            );
        }
        let late = fleet.of_device();
        let mut first = std::pin::pin!(late.download());
        assert!(first.as_mut().now_or_never().is_none(), "all places are taken");
        assert_eq!(*late.waiting().borrow(), 1);
        assert!(busy.encryption().now_or_never().is_some(), "a file that is here does not wait");
        // The one that waits for its own device's places does not stand before it.
        held.remove(0);
        assert!(first.now_or_never().is_some());
        assert_eq!(*late.waiting().borrow(), 0);
        assert_eq!(*busy.waiting().borrow(), 0, "who gave up is not counted");
    }
}
