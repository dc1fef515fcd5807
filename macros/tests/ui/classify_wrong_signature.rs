use mainstay_breaker::{Breaker, BreakerError, Outcome, breaker};

#[breaker(with = bank, classify = |error: &BreakerError| Outcome::Failure)]
async fn of_the_error(bank: &Breaker) -> Result<u64, BreakerError> {
    Ok(7)
}

#[breaker(with = bank, classify = |result| result.is_ok())]
async fn to_a_bool(bank: &Breaker) -> Result<u64, BreakerError> {
    Ok(7)
}

fn main() {}
