//! Which scopes a call needs.

use std::{fmt, sync::Arc};

use mainstay_core::{IntoKey, Key, KeyError};

use crate::{
    Entered, Permit, PermitRequest,
    core::Core,
    engine::{Scope, ScopeList},
    error::LimitError,
};

/// The scopes of one call.
///
/// A path such as `bank:pay` names `global`, `bank` (the channel) and `bank:pay` (the interface).
/// [`scopes!`](crate::scopes!) and [`Scopes::of`] name exactly what they list.
///
/// # Examples
///
/// ```
/// use mainstay_limiter::{Limit, Limiter, scopes};
///
/// let limiter = Limiter::builder().limit("region-eu", Limit::max(1)).in_process();
/// let permit = limiter.try_acquire(scopes!["bank", "region-eu"])?;
/// assert!(limiter.try_acquire(scopes!["card", "region-eu"]).is_err());
/// # drop(permit);
/// # Ok::<(), mainstay_limiter::LimitError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "scopes do nothing until something is acquired"]
pub struct Scopes(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Path(Key),
    List(Vec<Key>),
    Resolved(ResolvedScopes),
    Invalid(KeyError),
}

impl Scopes {
    /// The name of the scope that every path begins with.
    pub const GLOBAL: &'static str = "global";

    /// The scopes of a path: `global`, and every leading part of `path`.
    pub fn path(path: impl IntoKey) -> Self {
        Self(path.into_key().map_or_else(Kind::Invalid, Kind::Path))
    }

    /// Exactly these scopes, each counted once; `global` alone if there are none.
    pub fn of<K: IntoKey>(keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(Self(Kind::List(Vec::new())), Self::and)
    }

    /// These scopes and one more.
    pub fn and(self, key: impl IntoKey) -> Self {
        let mut keys = match self.0 {
            Kind::List(keys) => keys,
            Kind::Path(path) => path_keys(&path),
            Kind::Resolved(resolved) => resolved.keys().cloned().collect(),
            Kind::Invalid(error) => return Self(Kind::Invalid(error)),
        };
        match key.into_key() {
            Ok(key) => keys.push(key),
            Err(error) => return Self(Kind::Invalid(error)),
        }
        Self(Kind::List(keys))
    }
}

/// `global`, then every leading part of `path`, each once.
pub(crate) fn path_keys(path: &Key) -> Vec<Key> {
    let mut keys = Vec::from_iter(global());
    keys.extend(path.prefixes().filter(|key| key.as_str() != Scopes::GLOBAL));
    keys
}

pub(crate) fn global() -> Option<Key> {
    Key::new(Scopes::GLOBAL).ok()
}

/// What names the scopes of a call: a path (text, a [`Key`], [`key!`](crate::key!)), [`Scopes`], or
/// [`ResolvedScopes`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name the scopes of a call",
    note = "pass a path like `\"bank:pay\"`, a `Key`, `scopes![..]` or resolved scopes"
)]
pub trait IntoScopes {
    /// Names the scopes.
    fn into_scopes(self) -> Scopes;
}

#[diagnostic::do_not_recommend]
impl<K: IntoKey> IntoScopes for K {
    fn into_scopes(self) -> Scopes {
        Scopes::path(self)
    }
}

impl IntoScopes for Scopes {
    fn into_scopes(self) -> Scopes {
        self
    }
}

impl IntoScopes for &Scopes {
    fn into_scopes(self) -> Scopes {
        self.clone()
    }
}

impl IntoScopes for ResolvedScopes {
    #[inline]
    fn into_scopes(self) -> Scopes {
        Scopes(Kind::Resolved(self))
    }
}

impl IntoScopes for &ResolvedScopes {
    #[inline]
    fn into_scopes(self) -> Scopes {
        self.clone().into_scopes()
    }
}

/// Scopes that were looked up once, for callers that ask often.
///
/// Made by [`Limiter::scopes`](crate::Limiter::scopes). While it lives, its scopes are never evicted.
///
/// # Cost
///
/// [`try_acquire`](Self::try_acquire) needs no look-up, no allocation and no clock; with at most one
/// limited scope and nobody waiting it takes no lock either.
#[derive(Clone)]
pub struct ResolvedScopes(Arc<Resolved>);

pub(crate) struct Resolved {
    pub(crate) core: Arc<Core>,
    pub(crate) list: ScopeList,
}

impl ResolvedScopes {
    pub(crate) fn new(core: Arc<Core>, list: Vec<Arc<Scope>>) -> Self {
        Self(Arc::new(Resolved { core, list: list.into() }))
    }

    /// A permit now, or the reason why not.
    ///
    /// # Errors
    ///
    /// Everything of [`LimitError`] but `Timeout` and `InvalidKey`.
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Result<Permit, LimitError> {
        crate::acquire::try_one(self)
    }

    /// A permit that borrows these scopes: the cheapest way in, for work that ends in the same
    /// function.
    ///
    /// # Examples
    ///
    /// ```
    /// use mainstay_limiter::{Limit, Limiter};
    ///
    /// let limiter = Limiter::builder().limit("bank", Limit::max(1)).in_process();
    /// let bank = limiter.scopes("bank")?;
    /// let inside = bank.try_enter()?;
    /// assert!(bank.try_enter().is_err());
    /// drop(inside);
    /// assert!(bank.try_enter().is_ok());
    /// # Ok::<(), mainstay_limiter::LimitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn try_enter(&self) -> Result<Entered<'_>, LimitError> {
        crate::acquire::try_enter(self)
    }

    /// Requests a permit.
    #[track_caller]
    pub fn acquire(&self) -> PermitRequest {
        PermitRequest::new(Ok(self.clone()))
    }

    /// The names of the scopes, broadest first.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.0.list.iter().map(|scope| &scope.key)
    }

    #[inline]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// Counts a call without an id back.
    #[inline]
    pub(crate) fn release(&self, weight: u32) {
        self.0.core.engine.release(&self.0.list, weight, None);
    }

    #[inline]
    pub(crate) fn list(&self) -> &ScopeList {
        &self.0.list
    }

    /// The name of the narrowest scope.
    pub(crate) fn name(&self) -> &Key {
        &self.0.list[self.0.list.len() - 1].key
    }

    /// Whether nobody but the registry refers to it.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Whether a permit for `self` covers one for `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || Arc::ptr_eq(self.core(), other.core())
                && other.list().iter().all(|s| self.list().iter().any(|own| own.id == s.id))
    }
}

impl fmt::Debug for ResolvedScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.list.iter()).finish()
    }
}

/// Exactly the scopes that are listed: text, [`Key`](crate::Key)s and [`key!`](crate::key!)s, mixed.
///
/// # Examples
///
/// ```
/// use mainstay_limiter::{key, scopes};
///
/// let tenant = 7;
/// let both = scopes!["bank", key!("tenant:{}", tenant)];
/// # drop(both);
/// ```
#[macro_export]
macro_rules! scopes {
    ($($key:expr),* $(,)?) => {
        $crate::Scopes::of(::core::iter::empty::<$crate::Key>())$(.and($key))*
    };
}
