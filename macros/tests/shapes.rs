//! Functions of every shape take the attributes, in a crate with strict lints.
#![deny(warnings, clippy::pedantic, clippy::nursery)]

use std::{fmt::Display, pin::Pin, sync::Arc, time::Duration};

use mainstay_lock::{Fence, HasLocks, LockError, Locks, key, lock};

type Outcome<T> = Result<T, LockError>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[derive(Clone)]
struct Order {
    id: u64,
    r#type: &'static str,
    pair: (u8, (u8, u8)),
}

const ORDER: Order = Order { id: 7, r#type: "gift", pair: (1, (2, 3)) };

struct Service {
    locks: Locks,
    tenant: String,
    calls: u32,
}

impl Service {
    fn new() -> Self {
        Self { locks: Locks::in_process(), tenant: "acme".to_owned(), calls: 0 }
    }

    /// By reference, every argument given.
    #[lock(
        with = self.locks,
        key = "{self.tenant}:order:{order.id:08}:{order.r#type}:{order.pair.1.0}",
        wait = "250ms",
        lease = Duration::from_secs(30),
        guard = held,
    )]
    async fn by_reference(&self, order: &Order) -> Outcome<(String, Fence)> {
        assert!(held.is_held());
        let name = held.key().map(ToString::to_string).unwrap_or_default();
        Ok((name, held.token()))
    }

    #[lock(with = self, key = "order:{id}")]
    async fn by_mut_reference(&mut self, id: u64) -> Outcome<u32> {
        self.calls += 1;
        Ok(self.calls)
    }

    #[lock(with = self.locks, key = &self.tenant)]
    async fn by_value(self) -> Outcome<String> {
        Ok(self.tenant)
    }

    #[lock(with = self, key = key!("order:{}", self.tenant.len()))]
    async fn by_arc(self: Arc<Self>) -> Outcome<usize> {
        Ok(Self::strong(&self))
    }

    fn strong(this: &Arc<Self>) -> usize {
        Arc::strong_count(this)
    }

    #[lock(with = self.locks, key = "order")]
    async fn borrows<'a>(&'a self, other: &'a str) -> Outcome<&'a str> {
        if other.is_empty() { Ok(&self.tenant) } else { Ok(other) }
    }

    #[lock(with = self.locks, key = "boxed:{id}", guard = held)]
    fn boxed(&self, id: u64) -> BoxFuture<'_, Outcome<u64>> {
        if id == 0 {
            return Box::pin(async move { Ok(u64::from(held.is_held())) });
        }
        Box::pin(async move { Ok(id) })
    }

    #[lock(with = self.locks, key = "opaque:{id}")]
    fn opaque(&self, id: u64) -> impl Future<Output = Outcome<u64>> + Send {
        async move { Ok(id) }
    }
}

impl HasLocks for Service {
    fn locks(&self) -> &Locks {
        &self.locks
    }
}

#[lock(with = locks, key = "{name}", guard = r#type)]
async fn free<T: Display + Send>(
    locks: &Locks,
    name: T,
    shown: impl Display + Send,
) -> Outcome<String> {
    Ok(format!("{name} {shown} {}", r#type.is_held()))
}

/// A handler's parameters, as axum takes them apart.
#[lock(with = locks, key = "order:{id}:{kind}")]
async fn destructured(
    (locks, id): (Locks, u64),
    Order { r#type: kind, .. }: Order,
) -> Outcome<String> {
    drop(locks);
    Ok(format!("{id} {kind}"))
}

#[lock(with = locks, key = "r:{r#type}")]
async fn raw_names(locks: &Locks, r#type: &str) -> Outcome<usize> {
    Ok(r#type.len())
}

#[lock(with = locks, key = "early")]
async fn returns_early(
    locks: &Locks,
    text: &str,
) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
    if text.is_empty() {
        return Err("nothing given".into());
    }
    let number: i32 = text.parse()?;
    Ok(number)
}

/// Names that the attribute might use for itself.
#[lock(with = locks, key = "order:{request}:{call}", guard = held)]
async fn names_of_its_own(locks: &Locks, request: u8, call: u8, never: u8) -> Outcome<u8> {
    drop(held);
    Ok(request + call + never)
}

/// Only the function's own type says what is boxed.
#[lock(with = locks, key = "coerced")]
async fn coerced(locks: &Locks) -> Outcome<Box<dyn Display + Send>> {
    Ok(Box::new(7))
}

#[lock(with = locks, key = "opaque")]
async fn returns_opaque(locks: &Locks) -> Outcome<impl Display> {
    Ok(7)
}

#[lock(with = &handle(), key = "expression", wait = wait())]
#[must_use = "attributes of others are kept"]
#[cfg(not(any()))]
#[inline]
async fn handle_by_call() -> Outcome<u8> {
    Ok(1)
}

fn handle() -> Locks {
    Locks::in_process()
}

const fn wait() -> Duration {
    Duration::ZERO
}

#[tracing::instrument(skip(locks))]
#[lock(with = locks, key = "span:{id}")]
async fn instrumented_above(locks: &Locks, id: u64) -> Outcome<u64> {
    Ok(id)
}

#[lock(with = locks, key = "span:{id}")]
#[tracing::instrument(skip(locks), err)]
async fn instrumented_below(locks: &Locks, id: u64) -> Outcome<u64> {
    Ok(id)
}

trait Native {
    fn pay(&self, id: u64) -> impl Future<Output = Outcome<u64>> + Send;
}

impl Native for Service {
    #[lock(with = self.locks, key = "order:{id}")]
    async fn pay(&self, id: u64) -> Outcome<u64> {
        Ok(id)
    }
}

#[async_trait::async_trait]
trait Dynamic {
    async fn pay(&mut self, id: u64, note: &str) -> Outcome<String>;

    async fn twice(&self, locks: &Locks, id: u64) -> Outcome<u64>;

    /// A default body.
    #[lock(with = locks, key = "order:{id}")]
    async fn thrice(&self, locks: &Locks, id: u64) -> Outcome<u64>
    where
        Self: Sync,
    {
        Ok(id * 3)
    }
}

/// Futures that stay in their thread.
#[async_trait::async_trait(?Send)]
trait Local {
    async fn pay(&self, id: std::rc::Rc<u64>) -> Outcome<u64>;
}

#[async_trait::async_trait(?Send)]
impl Local for Service {
    #[lock(with = self, key = "order:{id}")]
    async fn pay(&self, id: std::rc::Rc<u64>) -> Outcome<u64> {
        Ok(*id)
    }
}

struct Batch<T, const N: usize> {
    items: [T; N],
}

impl<T, const N: usize> Batch<T, N>
where
    T: Display + Copy + Send + Sync,
{
    #[lock(with = locks, key = key!("batch:{}", self.items.len()))]
    async fn first<'a, L>(&self, locks: &'a L) -> Outcome<Option<T>>
    where
        L: HasLocks + Sync + ?Sized + 'a,
    {
        Ok(self.items.first().copied())
    }
}

#[lock(with = locks, key = "never")]
async fn diverges(locks: &Locks) -> Outcome<u8> {
    unreachable!("never called")
}

#[async_trait::async_trait]
impl Dynamic for Service {
    #[lock(with = self.locks, key = "order:{id}", guard = held)]
    async fn pay(&mut self, id: u64, note: &str) -> Outcome<String> {
        self.calls += 1;
        if note.is_empty() {
            return Ok(String::new());
        }
        Ok(format!("{note} {id} {}", held.is_held()))
    }

    #[lock(with = locks, key = "order:{id}")]
    async fn twice(&self, locks: &Locks, id: u64) -> Outcome<u64> {
        Ok(id * 2)
    }
}

macro_rules! locked {
    ($name:ident, $key:literal, $with:expr) => {
        #[lock(with = $with, key = $key, wait = "1s")]
        async fn $name() -> Outcome<&'static str> {
            Ok($key)
        }
    };
}

locked!(made_by_a_macro, "made", handle());

/// Holding across an await in a spawned task asks for `Send`.
const fn is_send<T: Send>(future: T) -> T {
    future
}

#[tokio::test]
async fn methods() {
    let mut service = Service::new();
    let (name, token) = is_send(service.by_reference(&ORDER)).await.unwrap();
    assert_eq!(name, "acme:order:00000007:gift:2");
    assert!(token > Fence::NONE);
    assert_eq!(is_send(service.by_mut_reference(1)).await.unwrap(), 1);
    assert_eq!(service.borrows("").await.unwrap(), "acme");
    assert_eq!(service.boxed(0).await.unwrap(), 1);
    assert_eq!(service.boxed(3).await.unwrap(), 3);
    assert_eq!(is_send(service.opaque(3)).await.unwrap(), 3);
    assert_eq!(is_send(Native::pay(&service, 4)).await.unwrap(), 4);
    assert_eq!(Dynamic::pay(&mut service, 4, "note").await.unwrap(), "note 4 true");
    assert_eq!(Dynamic::pay(&mut service, 4, "").await.unwrap(), "");
    assert_eq!(service.twice(&Locks::in_process(), 4).await.unwrap(), 8);
    assert_eq!(service.thrice(&Locks::in_process(), 4).await.unwrap(), 12);
    assert_eq!(Local::pay(&service, std::rc::Rc::new(4)).await.unwrap(), 4);
    let batch = Batch { items: [1, 2] };
    assert_eq!(is_send(batch.first(&service)).await.unwrap(), Some(1));
    assert_eq!(service.calls, 3);
    assert_eq!(Service::new().by_value().await.unwrap(), "acme");
    assert_eq!(is_send(Arc::new(Service::new()).by_arc()).await.unwrap(), 1);
}

#[tokio::test]
async fn free_functions() {
    let locks = &Locks::in_process();
    assert_eq!(is_send(free(locks, "a", 1)).await.unwrap(), "a 1 true");
    assert_eq!(destructured((locks.clone(), 7), ORDER.clone()).await.unwrap(), "7 gift");
    assert_eq!(raw_names(locks, "abc").await.unwrap(), 3);
    assert_eq!(returns_early(locks, "").await.unwrap_err().to_string(), "nothing given");
    assert_eq!(returns_early(locks, "12").await.unwrap(), 12);
    assert!(returns_early(locks, "x").await.is_err());
    assert_eq!(names_of_its_own(locks, 1, 2, 3).await.unwrap(), 6);
    assert_eq!(coerced(locks).await.unwrap().to_string(), "7");
    drop(diverges(locks));
    assert_eq!(returns_opaque(locks).await.unwrap().to_string(), "7");
    assert_eq!(handle_by_call().await.unwrap(), 1);
    assert_eq!(instrumented_above(locks, 2).await.unwrap(), 2);
    assert_eq!(instrumented_below(locks, 2).await.unwrap(), 2);
    assert_eq!(made_by_a_macro().await.unwrap(), "made");
}
