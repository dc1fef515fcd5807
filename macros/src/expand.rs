//! Puts an attribute's call around a body.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::{
    args::{Args, collect},
    function::{Function, Style},
    kind::{Kind, Root, Via},
    order,
    request::{Builder, Request},
};

/// The item that an attribute stands for, or its mistakes beside the item as it was.
pub(crate) fn expand(kind: Kind, via: Via, args: &TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2::<Function>(item.clone()) {
        Err(error) => beside(&not_a_function(kind, &item, error), item),
        Ok(function) => try_expand(kind, via, args, &function).unwrap_or_else(|error| {
            // Without the attribute a body has no `guard` and no `tx`: do not complain of that as well.
            let binds = ["guard", "tx"].iter().any(|name| order::has_argument(name, args));
            let item = if binds { function.without_body() } else { item };
            // What only the attribute used is unused now.
            beside(&error, quote!(#[allow(unused)] #item))
        }),
    }
}

fn beside(error: &syn::Error, item: TokenStream) -> TokenStream {
    let mut tokens = error.to_compile_error();
    tokens.extend(item);
    tokens
}

/// Says what the attribute is for, unless it sits on a function that is only half written.
fn not_a_function(kind: Kind, item: &TokenStream, error: syn::Error) -> syn::Error {
    let is_function = item.clone().into_iter().any(|token| token.to_string() == "fn");
    let is_block = ["struct", "enum", "union", "trait", "impl", "mod"];
    let is_other = item.clone().into_iter().any(|token| is_block.contains(&&*token.to_string()));
    if is_function && !is_other {
        return error;
    }
    let message = format!("`#[{}]` goes on an `async fn`", kind.name());
    syn::Error::new(Span::call_site(), message)
}

fn try_expand(
    kind: Kind,
    via: Via,
    tokens: &TokenStream,
    function: &Function,
) -> syn::Result<TokenStream> {
    let style = function.style(kind);
    let args = match (Args::parse(kind, tokens.clone()), &style) {
        (Ok(args), Ok(_)) => args,
        (args, style) => {
            let errors = [args.err(), style.clone().err()];
            return Err(collect(errors.into_iter().flatten()).expect_err("one of them failed"));
        }
    };
    let root = Root { kind, via, chosen: args.crate_path()? };
    let request = Builder { kind, root: &root, args: &args, function }.build()?;
    if !args.placed {
        order::check(kind, request.tx.is_some(), function)?;
        if let Some(item) = order::place(&root, tokens, function) {
            return Ok(item);
        }
    }
    Ok(wrap(&request, style?, function))
}

fn wrap(request: &Request, style: Style, function: &Function) -> TokenStream {
    let Request { chain, run, reject, guard, .. } = request;
    let mutable = (request.is_mutable && guard.is_some()).then(|| quote!(mut));
    let local = Ident::new("request", Span::mixed_site());
    let guard = guard.as_ref().map(|guard| quote!(let #guard = #local.handle();));
    // At the returned type: one that cannot carry a refusal is shown there.
    let span = function.output_span();
    let work = work(request, style, function);
    let future = quote_spanned!(span=> #local.#run(#reject, #work));
    let call = quote! {
        let #mutable #local = #chain;
        #guard
        #future
    };
    function.with_body(&match style {
        // A request that lent out its handle would be kept in the future across the wait.
        Style::Async if request.guard.is_some() => {
            let whole = Ident::new("call", Span::mixed_site());
            quote_spanned!(span=> let #whole = { #call }; #whole.await)
        }
        Style::Async => quote_spanned!(span=> #call.await),
        Style::Boxed => quote!(::std::boxed::Box::pin({ #call })),
        Style::Opaque => call,
    })
}

/// The body as a future, or as a closure from the transaction to a future.
fn work(request: &Request, style: Style, function: &Function) -> TokenStream {
    let body = function.body();
    let output = function.output();
    let tx = request.tx.as_ref().map(|tx| quote!(#[allow(unused_mut)] mut #tx));
    match (style, tx) {
        (Style::Async, tx) => {
            let anchor = output.as_ref().map(anchor);
            let future = quote_spanned!(function.output_span()=> async move { #anchor #body });
            tx.map_or_else(|| future.clone(), |tx| quote!(move |#tx| #future))
        }
        // A `return` in the body gives the body's future, it does not leave the function unguarded.
        (_, None) => quote!((move || -> #output #body)()),
        (_, Some(tx)) => quote!(move |#tx| -> #output #body),
    }
}

/// Tells the compiler the type of an `async` block: without it, a body could not rely on the
/// conversions that the function's own return type asks for.
fn anchor(output: &syn::Type) -> TokenStream {
    let local = Ident::new("never", Span::mixed_site());
    quote_spanned! {output.span()=>
        #[allow(clippy::needless_return, clippy::question_mark)]
        if let ::core::option::Option::Some(#local) = ::core::option::Option::None::<#output> {
            return #local;
        }
    }
}

#[cfg(test)]
mod tests;
