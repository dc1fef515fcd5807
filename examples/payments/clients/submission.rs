//! One click of a customer, repeated until its answer is final.

use std::time::Duration;

use crate::{
    Result,
    api::{IDEMPOTENCY_KEY, OrderAnswer, Problem, Status, SubmitOrder},
    http::{Answer, CallError, Http, answer_within},
    time,
};

/// A patient customer waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// After this long a customer gives the order up.
const GIVE_UP: Duration = Duration::from_secs(40);

/// Pause before a pending order is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(60);

/// Pause before a failed request is sent again, unless the service names one.
const TRY_AGAIN: Duration = Duration::from_millis(80);

/// Longest pause that a customer accepts between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One click: repeated with the same key until its answer is final.
#[derive(Debug)]
pub(super) struct Submission {
    http: Http,
    url: String,
    key: String,
    body: SubmitOrder,
    tally: Tally,
}

impl Submission {
    /// Prepares a click on `body` at the service at `url`.
    pub(super) fn new(http: &Http, url: &str, key: String, body: SubmitOrder) -> Self {
        Self { http: http.clone(), url: url.to_owned(), key, body, tally: Tally::default() }
    }

    /// Clicks until the answer is final; the first try may have less patience.
    pub(super) async fn run(mut self, first: Option<Duration>) -> (Option<OrderAnswer>, Tally) {
        let answer = time::within(GIVE_UP, self.until_final(first)).await;
        (answer, self.tally)
    }

    async fn until_final(&mut self, first: Option<Duration>) -> OrderAnswer {
        let mut patience = first.unwrap_or(PATIENCE);
        let mut look = false;
        loop {
            let result = self.request(look, patience).await;
            patience = PATIENCE;
            let pause = match self.judge(result) {
                Next::Done(answer) => return answer,
                Next::Look(pause) => {
                    look = true;
                    pause
                }
                Next::Submit(pause) => {
                    look = false;
                    pause
                }
            };
            time::sleep(pause).await;
        }
    }

    async fn request(&self, look: bool, patience: Duration) -> Result<Answer, CallError> {
        if look {
            let url = format!("{}/orders/{}", self.url, self.body.order_id);
            return answer_within(patience, self.http.get(&url)).await;
        }
        let url = format!("{}/orders", self.url);
        let headers = [(IDEMPOTENCY_KEY, self.key.as_str())];
        answer_within(patience, self.http.post(&url, &headers, &self.body)).await
    }

    fn judge(&mut self, result: Result<Answer, CallError>) -> Next {
        let Ok(answer) = result else {
            self.tally.timed_out += 1;
            return Next::Submit(Duration::from_millis(1));
        };
        if answer.status != 200 {
            self.tally.tried_again += 1;
            let problem = answer.json::<Problem>().ok();
            let named = problem.and_then(|problem| problem.retry_after_ms);
            let pause = named.map_or(TRY_AGAIN, Duration::from_millis);
            return Next::Submit(pause.min(LONGEST_PAUSE));
        }
        match answer.json::<OrderAnswer>() {
            Ok(answer) if answer.status != Status::Pending => Next::Done(answer),
            Ok(_) => {
                self.tally.looked_again += 1;
                Next::Look(LOOK_AGAIN)
            }
            Err(_) => {
                self.tally.tried_again += 1;
                Next::Submit(TRY_AGAIN)
            }
        }
    }
}

/// What to do after an answer.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done(OrderAnswer),
    Look(Duration),
    Submit(Duration),
}

/// What one click went through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Gave up waiting.
    pub(super) timed_out: u64,
    /// Sent again for another reason.
    pub(super) tried_again: u64,
    /// Looked at a pending order.
    pub(super) looked_again: u64,
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        sync::{Arc, Mutex},
    };

    use axum::{
        Json, Router,
        extract::State,
        http::{HeaderMap, StatusCode},
        response::{IntoResponse, Response},
        routing::{get, post},
    };
    use tokio::net::TcpListener;

    use super::*;
    use crate::spawn::spawn;

    /// A service that answers from a list and remembers how it was asked.
    #[derive(Debug, Default)]
    struct Scripted {
        answers: Mutex<VecDeque<Step>>,
        asked: Mutex<Vec<String>>,
    }

    #[derive(Debug)]
    enum Step {
        Says(Status),
        Busy,
        Breaks,
        Hangs,
    }

    impl Scripted {
        async fn answer(&self, asked: String) -> Response {
            self.asked.lock().unwrap().push(asked);
            let step = self.answers.lock().unwrap().pop_front();
            match step.expect("asked more often than planned") {
                Step::Says(status) => Json(OrderAnswer {
                    order_id: "order-1".to_owned(),
                    status,
                    cents: 5,
                    charge_id: None,
                    reason: None,
                })
                .into_response(),
                Step::Busy => {
                    let problem =
                        Problem { error: "in progress".to_owned(), retry_after_ms: Some(1) };
                    (StatusCode::CONFLICT, Json(problem)).into_response()
                }
                Step::Breaks => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                Step::Hangs => std::future::pending().await,
            }
        }
    }

    async fn submit(State(service): State<Arc<Scripted>>, headers: HeaderMap) -> Response {
        let key = headers[IDEMPOTENCY_KEY].to_str().unwrap().to_owned();
        service.answer(key).await
    }

    async fn look(State(service): State<Arc<Scripted>>) -> Response {
        service.answer("look".to_owned()).await
    }

    /// Clicks once, with little patience for the first answer, and tells what was asked.
    async fn click(answers: impl Into<VecDeque<Step>>) -> (OrderAnswer, Tally, Vec<String>) {
        let service =
            Arc::new(Scripted { answers: Mutex::new(answers.into()), ..Scripted::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/orders", post(submit))
            .route("/orders/{id}", get(look))
            .with_state(service.clone());
        let serving = spawn(async move { axum::serve(listener, router).await });
        let body = SubmitOrder {
            order_id: "order-1".to_owned(),
            customer: "00004".to_owned(),
            date: "19970101".to_owned(),
            cds: 1,
            cents: 5,
        };
        let submission = Submission::new(&Http::new(), &url, "key-1".to_owned(), body);
        let (answer, tally) = submission.run(Some(Duration::from_millis(400))).await;
        serving.abort();
        let asked = service.asked.lock().unwrap().clone();
        (answer.unwrap(), tally, asked)
    }

    #[tokio::test]
    async fn a_click_is_repeated_with_its_key_until_the_answer_is_final() {
        let answers = [Step::Hangs, Step::Busy, Step::Breaks, Step::Says(Status::Refused)];
        let (answer, tally, asked) = click(answers).await;
        assert_eq!(answer.status, Status::Refused);
        assert_eq!(asked, ["key-1"; 4]);
        assert_eq!((tally.timed_out, tally.tried_again), (1, 2));
    }

    #[tokio::test]
    async fn a_pending_order_is_looked_at_and_not_sent_again() {
        let answers =
            [Step::Says(Status::Pending), Step::Says(Status::Pending), Step::Says(Status::Paid)];
        let (answer, tally, asked) = click(answers).await;
        assert_eq!(answer.status, Status::Paid);
        assert_eq!(asked, ["key-1", "look", "look"]);
        assert_eq!(tally.looked_again, 2);
    }
}
