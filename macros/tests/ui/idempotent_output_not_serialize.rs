use mainstay_outbox::{Outbox, OutboxError, idempotent};

struct Receipt;

#[idempotent(with = outbox, key = "submit:{id}", tx = tx)]
async fn pay(outbox: &Outbox, id: u64) -> Result<Receipt, OutboxError> {
    drop(tx);
    Ok(Receipt)
}

fn main() {}
