use mainstay_outbox::{Outbox, OutboxError, idempotent};

#[idempotent(with = outbox, key = "submit:{id}", tx = tx, lease = "30s")]
async fn pay(outbox: &Outbox, id: u64) -> Result<u64, OutboxError> {
    drop(tx);
    Ok(id)
}

fn main() {}
