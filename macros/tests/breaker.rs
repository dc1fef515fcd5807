//! What `#[breaker]` does to the function it annotates.

use std::cell::Cell;

use mainstay_breaker::{
    Breaker, BreakerError, Breakers, HasBreaker, HasBreakers, Outcome, State, breaker,
};

#[derive(Debug)]
enum PayError {
    Refused(BreakerError),
    Down,
    Declined,
}

impl From<BreakerError> for PayError {
    fn from(error: BreakerError) -> Self {
        Self::Refused(error)
    }
}

impl PayError {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Down => Outcome::Failure,
            Self::Declined => Outcome::Success,
            Self::Refused(_) => Outcome::Ignored,
        }
    }
}

struct Bank {
    breaker: Breaker,
    branches: Breakers,
    calls: Cell<u32>,
}

impl HasBreaker for Bank {
    fn breaker(&self) -> &Breaker {
        &self.breaker
    }
}

impl HasBreakers for Bank {
    fn breakers(&self) -> &Breakers {
        &self.branches
    }
}

impl Bank {
    fn new() -> Self {
        Self {
            breaker: Breaker::builder("bank").consecutive(2).build(),
            branches: Breakers::builder().consecutive(2).build(),
            calls: Cell::new(0),
        }
    }

    fn answer(&self, answer: Result<(), PayError>) -> Result<(), PayError> {
        self.calls.set(self.calls.get() + 1);
        answer
    }

    #[breaker(with = self)]
    async fn pay(&self, answer: Result<(), PayError>) -> Result<(), PayError> {
        self.answer(answer)
    }

    #[breaker(with = self, classify = |result| result.err().map_or(Outcome::Success, PayError::outcome))]
    async fn judged(&self, answer: Result<(), PayError>) -> Result<(), PayError> {
        self.answer(answer)
    }

    #[breaker(with = self, key = "branch:{branch}", on_reject = |error| if error.is_open() { Ok(()) } else { Err(error.into()) })]
    async fn by_branch(&self, branch: u32, answer: Result<(), PayError>) -> Result<(), PayError> {
        self.answer(answer)
    }

    #[breaker(with = self.breaker, guard = call)]
    async fn marked(&self, outcome: Outcome) -> Result<(), PayError> {
        call.mark(outcome);
        Ok(())
    }
}

#[tokio::test]
async fn failures_open_it_and_the_body_is_not_run_any_more() {
    let bank = Bank::new();
    for _ in 0..2 {
        assert!(matches!(bank.pay(Err(PayError::Down)).await, Err(PayError::Down)));
    }
    assert!(matches!(bank.pay(Ok(())).await, Err(PayError::Refused(error)) if error.is_open()));
    assert_eq!(bank.calls.get(), 2);
    assert_eq!(bank.breaker.state(), State::Open);
}

#[tokio::test]
async fn the_classifier_decides_what_counts() {
    let bank = Bank::new();
    for _ in 0..5 {
        assert!(bank.judged(Err(PayError::Declined)).await.is_err());
    }
    assert_eq!(bank.breaker.state(), State::Closed);
    for _ in 0..2 {
        assert!(bank.judged(Err(PayError::Down)).await.is_err());
    }
    assert_eq!(bank.breaker.state(), State::Open);
}

#[tokio::test]
async fn each_key_has_a_breaker_of_its_own() {
    let bank = Bank::new();
    for _ in 0..2 {
        assert!(bank.by_branch(1, Err(PayError::Down)).await.is_err());
    }
    assert!(
        bank.by_branch(1, Err(PayError::Down)).await.is_ok(),
        "refused, and answered by `on_reject`"
    );
    assert!(bank.by_branch(2, Err(PayError::Down)).await.is_err());
    assert_eq!(bank.calls.get(), 3);
    assert_eq!(bank.breaker.state(), State::Closed);
}

#[tokio::test]
async fn the_guard_overrules_the_classifier() {
    let bank = Bank::new();
    for _ in 0..2 {
        bank.marked(Outcome::Unknown).await.unwrap();
    }
    assert_eq!(bank.breaker.state(), State::Open);
}
