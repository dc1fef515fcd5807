use mainstay_breaker::{Breaker, BreakerError, Outcome, breaker};

// Functions and not closures: a closure's name is its path, whose length changes rustc's wording.
fn of_error(_: &BreakerError) -> Outcome {
    Outcome::Failure
}

fn is_ok(result: Result<&u64, &BreakerError>) -> bool {
    result.is_ok()
}

#[breaker(with = bank, classify = of_error)]
async fn of_the_error(bank: &Breaker) -> Result<u64, BreakerError> {
    Ok(7)
}

#[breaker(with = bank, classify = is_ok)]
async fn to_a_bool(bank: &Breaker) -> Result<u64, BreakerError> {
    Ok(7)
}

fn main() {}
