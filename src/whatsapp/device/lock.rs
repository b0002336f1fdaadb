//! What WhatsApp restricts while the connection lives: the lock against new contacts.

use std::sync::Arc;

use super::actor::Device;
use super::notice::Notice;
use super::refusal::instant;
use crate::whatsapp::send::hold::Lock;

impl Device {
    pub(crate) fn lock(&mut self, lock: Option<Lock>) {
        self.context.holds.set(lock);
        self.judge();
    }

    /// Asks WhatsApp whether sending is locked. `refused` after a refusal, which is answer enough when none comes.
    pub(crate) fn ask_lock(&mut self, refused: bool) {
        let Some(client) = self.client() else { return };
        let (context, generation) = (Arc::clone(&self.context), self.generation);
        self.context.tasks.spawn("reach-out lock", async move {
            let answer = client.mex().fetch_reachout_timelock().await;
            drop(client);
            let notice = match answer {
                Ok(lock) if lock.is_active == Some(false) => Notice::NotLocked,
                Ok(lock) if refused || lock.is_active == Some(true) => {
                    let ends = lock.time_enforcement_ends.as_deref();
                    Notice::LockedUntil(ends.and_then(instant))
                }
                Err(_) if refused => Notice::LockedUntil(None),
                _ => return,
            };
            drop(context.notices.send((generation, notice)));
        });
    }
}
