//! What each attribute expands to, token by token.

use quote::ToTokens;

use super::*;

fn expanded(kind: Kind, args: impl ToTokens, item: TokenStream) -> String {
    expand(kind, Via::Owner, &args.to_token_stream(), item).to_string()
}

#[track_caller]
fn assert_holds(tokens: &str, part: &TokenStream) {
    let compact = |text: &str| text.replace(' ', "");
    assert!(compact(tokens).contains(&compact(&part.to_string())), "{part} is not in: {tokens}");
}

#[track_caller]
fn assert_expands(kind: Kind, args: TokenStream, item: TokenStream, expected: &TokenStream) {
    assert_eq!(expanded(kind, args, item), expected.to_string());
}

#[track_caller]
fn assert_refused(kind: Kind, args: TokenStream, item: TokenStream, why: &str) {
    let tokens = expanded(kind, args, item);
    assert!(tokens.contains("compile_error"), "was taken: {tokens}");
    assert!(tokens.contains(why), "{why:?} is not in: {tokens}");
}

#[test]
fn lock_is_one_call() {
    assert_expands(
        Kind::Lock,
        quote!(
            with = self.locks,
            key = "order:{req.id}",
            mode = "read",
            wait = "250ms",
            lease = ttl(),
            guard = lock
        ),
        quote! {
            /// Pays.
            pub async fn pay(&self, req: Pay) -> Result<u8, PayError> { self.bank.pay(req).await }
        },
        &quote! {
            /// Pays.
            pub async fn pay(&self, req: Pay) -> Result<u8, PayError> {
                let call = {
                    let request = ::mainstay_lock::HasLocks::locks(&self.locks)
                        .lock(::mainstay_lock::Key::builder().literal("order:").value(&req.id).finish())
                        .mode(::mainstay_lock::Mode::Shared)
                        .wait(::core::time::Duration::from_millis(250u64))
                        .lease(ttl());
                    let lock = request.handle();
                    request.run_or(::mainstay_lock::IntoError, async move {
                        #[allow(clippy::needless_return, clippy::question_mark)]
                        if let ::core::option::Option::Some(never) = ::core::option::Option::None::<Result<u8, PayError> > {
                            return never;
                        }
                        { self.bank.pay(req).await }
                    })
                };
                call.await
            }
        },
    );
}

#[test]
fn limit_takes_weight_id_and_rejection() {
    assert_expands(
        Kind::Limit,
        quote!(
            with = limits(),
            key = "bank",
            permits = 2,
            id = "{id}",
            on_reject = |e| Err(e.into())
        ),
        quote!(
            fn pay(id: u8) -> BoxFuture<'static, R> {
                Box::pin(ready(id))
            }
        ),
        &quote! {
            fn pay(id: u8) -> BoxFuture<'static, R> {
                ::std::boxed::Box::pin({
                let request = ::mainstay_limiter::HasLimiter::limiter(&limits())
                    .acquire(::mainstay_limiter::Key::builder().literal("bank").finish())
                    .permits(2)
                    .id(::mainstay_limiter::Key::builder().value(&id).finish());
                request.run_or(
                    ::mainstay_limiter::With(|e: ::mainstay_limiter::LimitError| Err(e.into())),
                    (move || -> BoxFuture<'static, R> { Box::pin(ready(id)) })()
                )
                })
            }
        },
    );
}

#[test]
fn breaker_has_a_keyed_form() {
    let item = quote!(
        fn pay(&mut self) -> impl Future<Output = R> {
            work()
        }
    );
    assert_expands(
        Kind::Breaker,
        quote!(with = self, classify = Self::judge),
        item.clone(),
        &quote! {
            fn pay(&mut self) -> impl Future<Output = R> {
                let request = ::mainstay_breaker::HasBreaker::breaker(&*self).call().classify(Self::judge);
                request.run_or(::mainstay_breaker::IntoError, (move || -> _ { work() })())
            }
        },
    );
    assert_expands(
        Kind::Breaker,
        quote!(with = if a { b } else { c }, key = &self.name, crate = ::renamed),
        item,
        &quote! {
            fn pay(&mut self) -> impl Future<Output = R> {
                let request = ::renamed::HasBreakers::breakers(&(if a { b } else { c })).call(&self.name);
                request.run_or(::renamed::IntoError, (move || -> _ { work() })())
            }
        },
    );
}

#[test]
fn a_transaction_is_the_argument_of_the_work() {
    let tokens = expanded(
        Kind::Transactional,
        quote!(with = self.outbox, tx = tx),
        quote!(
            async fn f(&self) -> R {
                Ok(tx)
            }
        ),
    );
    let expected = quote!(::mainstay_outbox::HasOutbox::outbox(&self.outbox).transaction());
    assert_holds(&tokens, &expected);
    assert_holds(&tokens, &quote!(move |#[allow(unused_mut)] mut tx| async move));
}

#[test]
fn idempotent_without_a_transaction_is_external() {
    let f = quote!(
        async fn f(&self) -> R {
            work()
        }
    );
    let args = quote!(with = self.outbox, key = k, fingerprint = (&a, b), ttl = "24h");
    let tokens = expanded(Kind::Idempotent, args.clone(), f.clone());
    let chain = quote!(.idempotent(k).fingerprint(&((&a, b))).ttl(::core::time::Duration::from_millis(86400000u64)));
    assert_holds(&tokens, &chain);
    assert_holds(&tokens, &quote!(request.run_external_or));
    let tokens = expanded(Kind::Idempotent, quote!(#args, tx = db), f);
    assert_holds(&tokens, &quote!(move |#[allow(unused_mut)] mut db| async move));
}

#[test]
fn the_facade_has_a_module_for_each_owner() {
    let item = quote!(
        async fn f() -> R {
            work()
        }
    );
    for (kind, args, path) in [
        (Kind::Lock, quote!(with = a, key = b), quote!(::mainstay::lock::HasLocks::locks)),
        (Kind::Limit, quote!(with = a, key = b), quote!(::mainstay::limiter::HasLimiter::limiter)),
        (Kind::Breaker, quote!(with = a), quote!(::mainstay::breaker::HasBreaker::breaker)),
        (
            Kind::Idempotent,
            quote!(with = a, key = b),
            quote!(::mainstay::outbox::HasOutbox::outbox),
        ),
        (
            Kind::Transactional,
            quote!(with = a, tx = b),
            quote!(::mainstay::outbox::HasOutbox::outbox),
        ),
    ] {
        let tokens = expand(kind, Via::Facade, &args, item.clone()).to_string();
        assert_holds(&tokens, &path);
    }
}

#[test]
fn the_top_attribute_goes_below_the_ones_it_encloses() {
    let below = quote! {
        #[doc = "Pays."]
        #[mainstay_lock::lock(with = l, key = "a")]
        #[breaker(with = b)]
        #[inline]
        async fn pay() -> R { work() }
    };
    assert_expands(
        Kind::Limit,
        quote!(with = a, key = "b"),
        below,
        &quote! {
            #[doc = "Pays."]
            #[mainstay_lock::lock(with = l, key = "a")]
            #[breaker(with = b)]
            #[::mainstay_limiter::limit(__mainstay_placed, with = a, key = "b")]
            #[inline]
            async fn pay() -> R { work() }
        },
    );
}

#[test]
fn a_placed_attribute_stays_where_it_is() {
    let item = quote! {
        #[lock(__mainstay_placed, with = l, key = "a")]
        async fn pay() -> R { work() }
    };
    let above = expanded(Kind::Limit, quote!(with = a, key = "b"), item.clone());
    assert!(above.contains("HasLimiter"), "what is above a placed attribute is expanded: {above}");
    let placed = expanded(Kind::Limit, quote!(__mainstay_placed, with = a, key = "b"), item);
    assert!(placed.contains("HasLimiter"), "{placed}");
}

#[test]
fn orders_that_break_a_guarantee_are_refused() {
    let with = |below: TokenStream| quote!(#below async fn f() -> R { work() });
    let (lock, limit) =
        (quote!(#[lock(with = l, key = "a")]), quote!(#[limit(with = l, key = "a")]));
    let (breaker, tx) = (quote!(#[breaker(with = l)]), quote!(#[transactional(with = l, tx = tx)]));
    let once = quote!(#[idempotent(with = l, key = "a")]);
    let transactional = || (Kind::Transactional, quote!(with = o, tx = tx));
    let idempotent = || (Kind::Idempotent, quote!(with = o, key = "k", tx = tx));
    let external = || (Kind::Idempotent, quote!(with = o, key = "k"));
    for ((kind, args), below, why) in [
        (transactional(), &lock, "the transaction would begin before the lock is taken"),
        (transactional(), &limit, "the transaction would begin before the limit is taken"),
        (transactional(), &breaker, "a remote call would hold the transaction open"),
        (transactional(), &tx, "would wait for the first"),
        (transactional(), &once, "would wait for the first"),
        (idempotent(), &lock, "the key would be claimed before the lock is taken"),
        (idempotent(), &breaker, "a remote call would hold the transaction open"),
        (idempotent(), &tx, "would wait for the first"),
        (external(), &limit, "the key would be claimed before the limit is taken"),
    ] {
        assert_refused(kind, args, with(below.clone()), why);
    }
    let allowed = expanded(Kind::Idempotent, quote!(with = o, key = "k"), with(breaker));
    assert!(!allowed.contains("compile_error"), "{allowed}");
    let other_crates = with(quote!(#[other::lock(exclusive)]));
    let allowed = expanded(Kind::Transactional, quote!(with = o, tx = tx), other_crates);
    assert!(!allowed.contains("compile_error"), "{allowed}");
}

#[test]
fn what_cannot_be_wrapped_is_refused_and_kept() {
    let args = || quote!(with = l, key = "a");
    for (item, why) in [
        (
            quote!(
                fn f() -> Result<u8, E> {
                    work()
                }
            ),
            "must be an `async fn`",
        ),
        (
            quote!(
                const fn f() -> Result<u8, E> {
                    work()
                }
            ),
            "must be an `async fn`",
        ),
        (
            quote!(
                struct S;
            ),
            "goes on an `async fn`",
        ),
        (quote!(impl S { async fn f() -> R { work() } }), "goes on an `async fn`"),
        (
            quote!(
                async fn f(&self) -> R;
            ),
            "put it on the implementation",
        ),
        (
            quote!(
                async fn f() {
                    work()
                }
            ),
            "this one returns nothing",
        ),
        (
            quote!(
                async fn f() -> Option<u8> {
                    work()
                }
            ),
            "this one returns `Option<u8>`",
        ),
    ] {
        assert_refused(Kind::Lock, args(), item.clone(), why);
        assert!(expanded(Kind::Lock, args(), item.clone()).ends_with(&item.to_string()));
    }
}

#[test]
fn names_of_the_body_are_guarded() {
    let item = quote!(
        async fn f(State(lock): State<u8>) -> R {
            lock.token()
        }
    );
    let args = quote!(with = l, key = "a", guard = lock);
    assert_refused(Kind::Lock, args.clone(), item.clone(), "would hide the parameter `lock`");
    let tokens = expanded(Kind::Lock, args, item);
    assert!(!tokens.contains("token ()"), "a body without its guard only adds errors: {tokens}");
}

#[test]
fn self_in_a_key_needs_a_receiver() {
    let item = quote!(
        async fn f(id: u8) -> R {
            work()
        }
    );
    assert_refused(Kind::Lock, quote!(with = l, key = "{self.id}"), item, "has no `self`");
}
