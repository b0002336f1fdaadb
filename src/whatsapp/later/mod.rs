//! Puts what is to go later into the send queue when its time comes.

mod alarm;
pub(crate) mod people;

use std::time::Duration;

use alarm::Alarm;

use super::context::Context;
use crate::model::UnixMillis;

/// When to look again after the store or the alarm failed.
const AGAIN: Duration = Duration::from_mins(1);

/// Queues the messages of one device that are due, until it is dropped.
pub(crate) async fn run(context: &Context) {
    let queue = context.store.queue();
    let mut schedule = queue.schedule(&context.name);
    let mut alarm = None;
    loop {
        schedule.borrow_and_update();
        let next = queue.release(&context.name, UnixMillis::now()).await;
        if let Err(error) = &next {
            tracing::error!(device = %context.name, %error, "The messages for later could not be read.");
        }
        let rings = async {
            match next {
                Ok(Some(due)) => wait(&mut alarm, due).await,
                Ok(None) => std::future::pending().await,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        tokio::select! {
            () = rings => {}
            changed = schedule.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits for that time, or for a change of the clock.
async fn wait(alarm: &mut Option<Alarm>, due: UnixMillis) {
    let rung = async {
        let alarm = match alarm {
            Some(alarm) => alarm,
            None => alarm.insert(Alarm::new()?),
        };
        alarm.wait(due).await
    };
    if let Err(error) = rung.await {
        tracing::error!(%error, "The wall clock cannot be waited for.");
        let left = due.since(UnixMillis::now());
        tokio::time::sleep(left.min(AGAIN)).await;
    }
}
