use mainstay_breaker::{Breaker, breaker};
use mainstay_limiter::{Limiter, limit};

struct PayError;

#[limit(with = limiter, key = "bank:pay")]
async fn limited(limiter: &Limiter) -> Result<u64, PayError> {
    Ok(7)
}

#[breaker(with = bank)]
async fn broken(bank: &Breaker) -> Result<u64, PayError> {
    Ok(7)
}

fn main() {}
