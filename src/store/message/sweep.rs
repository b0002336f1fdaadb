//! Removes old messages.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::list;
use super::row::{Row, order_at};
use crate::model::{DeviceName, UnixMillis};
use crate::store::StoreError;
use crate::store::database::outbox::Outbox;
use crate::store::database::txn::Txn;
use crate::store::json::from_json;
use crate::store::key::{Key, Parts, number};

/// How long a message is kept after its last change, and with it its idempotency key.
const KEEP: Duration = Duration::from_hours(7 * 24);
/// Messages of a device removed at once when they are too old, once a minute: 720,000 a day, more than a device sends.
const SWEEP: usize = 500;

/// Removes messages that nothing has happened to for a week, oldest first. A message that WhatsApp does not have yet
/// stays, because it was accepted and must still be sent.
pub(in crate::store) fn sweep(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let young = order_at(now.before(KEEP));
    for (counts, _) in txn.scan(&outbox.queue, b"n", usize::MAX)? {
        let mut parts = Parts::of(&counts);
        parts.tag();
        let Some(device) = parts.device() else { continue };
        sweep_device(outbox, txn, &device, now, young)?;
    }
    Ok(())
}

fn sweep_device(
    outbox: &Outbox,
    txn: &mut Txn<'_>,
    device: &DeviceName,
    now: UnixMillis,
    young: u64,
) -> Result<(), StoreError> {
    let prefix = Key::new(b't').device(device);
    let (mut from, mut removed) = (prefix.as_ref().to_vec(), 0);
    // Page by page, so that old messages that stay do not hide those after them.
    while removed < SWEEP {
        let page = txn.scan_from(&outbox.queue, prefix.as_ref(), &from, SWEEP)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = [last.as_slice(), &[0]].concat();
        for (index, id) in page {
            // A message cannot have changed before it was made, so this one and all after it are too young.
            if number(index.get(prefix.as_ref().len()..).unwrap_or_default())? > young {
                return Ok(());
            }
            let key = Key::new(b'm').device(device).rest(&id);
            let Some(row) = txn.get(&outbox.queue, &key)? else { continue };
            let row: Row = from_json(&row)?;
            if !row.message.status.is_settled()
                || now.since(row.changed.unwrap_or(row.message.updated)) <= KEEP
            {
                continue;
            }
            txn.remove(&outbox.queue, index);
            if list::needs(outbox, txn, &row)? {
                continue;
            }
            txn.remove(&outbox.queue, key);
            if let Some(hash) = row.key.and_then(|key| HEXLOWER.decode(key.as_bytes()).ok()) {
                txn.remove(&outbox.queue, Key::new(b'k').device(device).rest(hash));
            }
            removed += 1;
        }
    }
    Ok(())
}
