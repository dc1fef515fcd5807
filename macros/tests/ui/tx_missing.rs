use mainstay_outbox::{Outbox, OutboxError, transactional};

#[transactional(with = outbox)]
async fn pay(outbox: &Outbox, id: u64) -> Result<u64, OutboxError> {
    Ok(id)
}

fn main() {}
