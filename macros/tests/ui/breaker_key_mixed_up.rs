use mainstay_breaker::{Breaker, BreakerError, Breakers, breaker};

#[breaker(with = bank, key = "branch:{id}")]
async fn keyed(bank: &Breaker, id: u64) -> Result<u64, BreakerError> {
    Ok(id)
}

#[breaker(with = banks)]
async fn single(banks: &Breakers, id: u64) -> Result<u64, BreakerError> {
    Ok(id)
}

fn main() {}
