//! The request that an attribute stands for, up to the call that runs the work.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, spanned::Spanned};

use crate::{
    args::Args,
    closure, duration,
    function::Function,
    kind::{Kind, Root},
    syntax::{as_ident, peel},
    template::{self, Context},
};

/// An attribute's call, ready to be put around a body.
pub(crate) struct Request {
    /// `HasLocks::locks(&(self.locks)).lock(key).wait(..)`.
    pub(crate) chain: TokenStream,
    /// The method that runs the work, and what it takes before the work.
    pub(crate) run: Ident,
    pub(crate) reject: TokenStream,
    /// The name under which the body sees the request's handle.
    pub(crate) guard: Option<Ident>,
    /// The name under which the body sees the transaction.
    pub(crate) tx: Option<Ident>,
    /// Whether giving out the handle changes the request.
    pub(crate) is_mutable: bool,
}

/// Builds requests of one attribute on one function.
pub(crate) struct Builder<'a> {
    pub(crate) kind: Kind,
    pub(crate) root: &'a Root,
    pub(crate) args: &'a Args,
    pub(crate) function: &'a Function,
}

impl Builder<'_> {
    /// The request, or what is wrong with the arguments.
    pub(crate) fn build(&self) -> syn::Result<Request> {
        let start = self.start()?;
        let steps = self.steps()?;
        Ok(Request {
            chain: quote!(#start #steps),
            run: self.run(),
            reject: self.reject(),
            guard: self.binding("guard")?,
            tx: self.binding("tx")?,
            is_mutable: self.kind == Kind::Breaker,
        })
    }

    /// The handle and the method that makes the request.
    fn start(&self) -> syn::Result<TokenStream> {
        let has_key = self.args.get("key").is_some();
        let (owner, handle, method) = match self.kind {
            Kind::Lock => ("HasLocks", "locks", "lock"),
            Kind::Limit => ("HasLimiter", "limiter", "acquire"),
            Kind::Breaker if has_key => ("HasBreakers", "breakers", "call"),
            Kind::Breaker => ("HasBreaker", "breaker", "call"),
            Kind::Idempotent => ("HasOutbox", "outbox", "idempotent"),
            Kind::Transactional => ("HasOutbox", "outbox", "transaction"),
        };
        let handle = self.handle(owner, handle);
        let method = Ident::new(method, Span::mixed_site());
        let key = self.key("key")?;
        Ok(quote!(#handle.#method(#key)))
    }

    /// `HasLocks::locks(&(self.locks))`, spanned so that a wrong handle is shown where it was written.
    fn handle(&self, owner: &str, method: &str) -> TokenStream {
        let with = self.args.get("with").expect("checked when the arguments were read");
        let span = with.span();
        let (owner, method) = (Ident::new(owner, span), Ident::new(method, span));
        let (root, place) = (self.root.at(span), self.place(with));
        quote_spanned!(span=> #root::#owner::#method(#place))
    }

    /// A reference to the handle.
    fn place(&self, with: &Expr) -> TokenStream {
        let span = with.span();
        let is_self = as_ident(with).is_some_and(|ident| ident == "self");
        if is_self && self.function.is_by_mut_reference() {
            // `&mut Self` has no handle; what it points to has.
            return quote_spanned!(span=> &*#with);
        }
        match peel(with) {
            Expr::Path(_) | Expr::Field(_) | Expr::MethodCall(_) | Expr::Call(_) => {
                quote_spanned!(span=> &#with)
            }
            _ => quote_spanned!(span=> &(#with)),
        }
    }

    /// The settings, in the order of the handle's documentation.
    fn steps(&self) -> syn::Result<TokenStream> {
        let mut steps = TokenStream::new();
        for name in ["permits", "mode", "wait", "lease", "id", "classify", "fingerprint", "ttl"] {
            let Some((span, value)) = self.args.get_with_span(name) else { continue };
            let value = match name {
                "wait" | "lease" | "ttl" => duration::tokens(name, value)?,
                "mode" => self.mode(value)?,
                "id" => self.key(name)?,
                "fingerprint" => quote!(&(#value)),
                "classify" => closure::classifier(value, self.function.output().as_ref()),
                _ => quote!(#value),
            };
            let setter = Ident::new(name, span);
            steps.extend(quote_spanned!(span=> .#setter(#value)));
        }
        Ok(steps)
    }

    /// `"read"` or `"write"`, or an expression that is a `Mode`.
    fn mode(&self, value: &Expr) -> syn::Result<TokenStream> {
        let Expr::Lit(ExprLit { lit, .. }) = peel(value) else { return Ok(quote!(#value)) };
        let mode = match lit {
            Lit::Str(text) if text.value() == "read" => "Shared",
            Lit::Str(text) if text.value() == "write" => "Exclusive",
            _ => {
                let told = "`mode` is \"read\", beside other readers, or \"write\", alone";
                return Err(syn::Error::new(value.span(), told));
            }
        };
        let (root, mode) = (self.root.at(value.span()), Ident::new(mode, value.span()));
        Ok(quote!(#root::Mode::#mode))
    }

    fn key(&self, name: &str) -> syn::Result<TokenStream> {
        let context = Context { root: self.root, function: self.function };
        let value = self.args.get(name);
        value.map_or_else(|| Ok(quote!()), |value| template::tokens(name, value, &context))
    }

    /// The name of the method that runs the work, at the returned type: a type that cannot carry
    /// a refusal is shown there.
    fn run(&self) -> Ident {
        let is_external = self.kind == Kind::Idempotent && self.args.get("tx").is_none();
        let name = if is_external { "run_external_or" } else { "run_or" };
        Ident::new(name, self.function.output_span())
    }

    /// What a refused call returns. `run_or(IntoError, ..)` is `run(..)`, and says in our words what
    /// an error type lacks.
    fn reject(&self) -> TokenStream {
        let value = self.args.get("on_reject");
        let span = value.map_or_else(|| self.function.output_span(), Spanned::span);
        let (root, error) = (self.root.at(span), self.kind.error());
        let Some(value) = value else { return quote_spanned!(span=> #root::IntoError) };
        let value = closure::with_type(value, &quote!(#root::#error));
        quote_spanned!(span=> #root::With(#value))
    }

    fn binding(&self, name: &str) -> syn::Result<Option<Ident>> {
        let Some(ident) = self.args.binding(name)? else { return Ok(None) };
        if self.function.has_parameter(ident) {
            let message = format!(
                "`{name} = {ident}` would hide the parameter `{ident}`; choose another name"
            );
            return Err(syn::Error::new(ident.span(), message));
        }
        Ok(Some(ident.clone()))
    }
}
