//! The five attributes: what each is called, takes and stands for.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

/// One of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lock,
    Limit,
    Breaker,
    Idempotent,
    Transactional,
}

/// Through which crate the user reaches the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// The crate that owns the handle, such as `mainstay_lock`.
    Owner,
    /// A module of `mainstay`, such as `mainstay::lock`.
    Facade,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Lock, Self::Limit, Self::Breaker, Self::Idempotent, Self::Transactional];

    /// The attribute's name, and that of its macro in the owner's crate.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Limit => "limit",
            Self::Breaker => "breaker",
            Self::Idempotent => "idempotent",
            Self::Transactional => "transactional",
        }
    }

    /// The arguments it takes, in the order in which messages list them.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Lock => &["with", "key", "mode", "wait", "lease", "guard", "on_reject", "crate"],
            Self::Limit => &["with", "key", "permits", "wait", "id", "guard", "on_reject", "crate"],
            Self::Breaker => &["with", "key", "classify", "guard", "on_reject", "crate"],
            Self::Idempotent => &[
                "with",
                "key",
                "tx",
                "fingerprint",
                "ttl",
                "lease",
                "classify",
                "on_reject",
                "crate",
            ],
            Self::Transactional => &["with", "tx", "on_reject", "crate"],
        }
    }

    /// The arguments it cannot do without, each with what to write.
    pub(crate) fn required(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Lock => &[
                ("with", "the handle to use, such as `with = self.locks`"),
                ("key", "what to lock, such as `key = \"order:{id}\"`"),
            ],
            Self::Limit => &[
                ("with", "the handle to use, such as `with = self.limiter`"),
                ("key", "what to limit, such as `key = \"bank:pay\"`"),
            ],
            Self::Breaker => &[("with", "the handle to use, such as `with = self.bank`")],
            Self::Idempotent => &[
                ("with", "the handle to use, such as `with = self.outbox`"),
                ("key", "what must happen once, such as `key = \"submit:{id}\"`"),
            ],
            Self::Transactional => &[
                ("with", "the handle to use, such as `with = self.outbox`"),
                ("tx", "the name of the transaction in the body, such as `tx = tx`"),
            ],
        }
    }

    /// The crate that owns the handle, and the facade's module for it.
    fn homes(self) -> (&'static str, &'static str) {
        match self {
            Self::Lock => ("mainstay_lock", "lock"),
            Self::Limit => ("mainstay_limiter", "limiter"),
            Self::Breaker => ("mainstay_breaker", "breaker"),
            Self::Idempotent | Self::Transactional => ("mainstay_outbox", "outbox"),
        }
    }

    /// The error type by which a refused call is told.
    pub(crate) fn error(self) -> Ident {
        let name = match self {
            Self::Lock => "LockError",
            Self::Limit => "LimitError",
            Self::Breaker => "BreakerError",
            Self::Idempotent | Self::Transactional => "OutboxError",
        };
        Ident::new(name, Span::call_site())
    }
}

/// The path of the module that exports an attribute's names.
pub(crate) struct Root {
    pub(crate) kind: Kind,
    pub(crate) via: Via,
    /// The path given as `crate = path`.
    pub(crate) chosen: Option<Path>,
}

impl Root {
    /// The path, spanned so that what goes wrong with it is shown at `span`.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        if let Some(path) = &self.chosen {
            return quote!(#path);
        }
        let (owner, module) = self.kind.homes();
        let (owner, module) = (Ident::new(owner, span), Ident::new(module, span));
        match self.via {
            Via::Owner => quote_spanned!(span=> ::#owner),
            Via::Facade => quote_spanned!(span=> ::mainstay::#module),
        }
    }
}
