//! Attributes stacked on one function: the top one is the outermost.
//!
//! The compiler expands the top attribute first, and what is expanded first wraps the body most closely.
//! So an attribute that finds others of ours below itself hands the item back with itself under them,
//! marked as placed; the last one left expands first.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::{Attribute, Meta};

use crate::{
    args::{PLACED, collect, strip_placed},
    function::Function,
    kind::{Kind, Root},
};

/// One of our attributes on an item.
struct Found {
    at: usize,
    kind: Kind,
    span: Span,
}

/// Moves the attribute below the ones that it encloses, if there are any.
pub(crate) fn place(root: &Root, tokens: &TokenStream, function: &Function) -> Option<TokenStream> {
    let last = inner(function).last()?.at;
    let name = proc_macro2::Ident::new(root.kind.name(), Span::call_site());
    let root = root.at(Span::call_site());
    let mark = proc_macro2::Ident::new(PLACED, Span::call_site());
    let here = quote_spanned!(Span::call_site()=> #[#root::#name(#mark, #tokens)]);
    let attrs = function.attrs.iter().enumerate().flat_map(|(at, attr)| {
        let here = (at == last).then(|| here.clone());
        [Some(attr.to_token_stream()), here].into_iter().flatten()
    });
    let mut item: TokenStream = attrs.collect();
    item.extend(function.without_attrs());
    Some(item)
}

/// Refuses orders that cannot be right.
pub(crate) fn check(kind: Kind, has_tx: bool, function: &Function) -> syn::Result<()> {
    collect(inner(function).filter_map(|found| {
        let message = refuse(kind, has_tx, &found)?;
        Some(syn::Error::new(found.span, message))
    }))
}

/// Why `found` cannot run inside an attribute of `kind`.
fn refuse(kind: Kind, has_tx: bool, found: &Found) -> Option<String> {
    let (outer, inner) = (kind.name(), found.kind.name());
    let is_transaction = kind == Kind::Transactional || (kind == Kind::Idempotent && has_tx);
    match (kind, found.kind) {
        (Kind::Transactional, Kind::Lock | Kind::Limit) => Some(format!(
            "`#[{inner}]` inside `#[{outer}]`: the transaction would begin before the {inner} is taken and read \
             data older than it; put `#[{inner}]` above `#[{outer}]`"
        )),
        (Kind::Idempotent, Kind::Lock | Kind::Limit) => Some(format!(
            "`#[{inner}]` inside `#[{outer}]`: the key would be claimed before the {inner} is taken, and a refusal \
             would look like work that has begun; put `#[{inner}]` above `#[{outer}]`"
        )),
        (_, Kind::Breaker) if is_transaction => Some(format!(
            "`#[breaker]` inside `#[{outer}]`: a remote call would hold the transaction open; reserve in one \
             transaction, call in a function of its own, settle in a second transaction"
        )),
        (_, Kind::Transactional | Kind::Idempotent) if is_transaction => Some(format!(
            "`#[{inner}]` inside `#[{outer}]`: the second transaction would wait for the first; \
             keep one and use its transaction for both"
        )),
        _ => None,
    }
}

/// Attributes of ours below this one that have not been placed, top to bottom.
fn inner(function: &Function) -> impl Iterator<Item = Found> {
    function.attrs.iter().enumerate().filter_map(|(at, attr)| find(at, attr))
}

fn find(at: usize, attr: &Attribute) -> Option<Found> {
    let Meta::List(list) = &attr.meta else { return None };
    let name = &list.path.segments.last()?.ident;
    let kind = Kind::ALL.into_iter().find(|kind| name == kind.name())?;
    let (is_placed, tokens) = strip_placed(list.tokens.clone());
    // Another crate may have an attribute of that name; ours always say `with`.
    let is_ours = !is_placed && has_argument("with", &tokens);
    is_ours.then(|| Found { at, kind, span: name.span() })
}

/// Whether `tokens` hold `name =` outside all brackets.
pub(crate) fn has_argument(name: &str, tokens: &TokenStream) -> bool {
    let tokens: Vec<_> = tokens.clone().into_iter().collect();
    tokens.windows(2).enumerate().any(|(at, pair)| {
        let starts =
            at == 0 || matches!(&tokens[at - 1], TokenTree::Punct(p) if p.as_char() == ',');
        let [TokenTree::Ident(ident), TokenTree::Punct(equals)] = pair else { return false };
        starts && ident == name && equals.as_char() == '='
    })
}
