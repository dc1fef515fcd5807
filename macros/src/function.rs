//! The annotated function.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, FnArg, Receiver, ReceiverKind, ReturnType, Signature, Token, Type, Visibility,
    parse::{Parse, ParseStream},
    spanned::Spanned,
    token,
};

use crate::{
    kind::Kind,
    syntax::{binds, last_segment, without_impl},
};

/// A function whose body is kept as it was written.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    vis: Visibility,
    sig: Signature,
    /// What stood between the braces, with them; none for a declaration.
    body: Option<Group>,
}

/// How the function gives its result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `async fn`.
    Async,
    /// A plain function that returns a boxed future, as `#[async_trait]` makes it.
    Boxed,
    /// A plain function that returns `impl Future`.
    Opaque,
}

impl Function {
    /// How it gives its result, or why the attribute cannot wrap it.
    pub(crate) fn style(&self, kind: Kind) -> syn::Result<Style> {
        let name = kind.name();
        if self.body.is_none() {
            let message = format!(
                "`#[{name}]` wraps a body, and this declaration has none; put it on the implementation"
            );
            return Err(syn::Error::new(self.sig.ident.span(), message));
        }
        if self.sig.asyncness.is_some() {
            return self.returns_result(name).map(|()| Style::Async);
        }
        if let ReturnType::Type(_, ty) = &self.sig.output {
            if is_opaque_future(ty) {
                return Ok(Style::Opaque);
            }
            if is_boxed_future(ty) {
                return Ok(Style::Boxed);
            }
        }
        let message = format!("`#[{name}]` waits, so the function must be an `async fn`");
        Err(syn::Error::new(self.sig.fn_token.span, message))
    }

    /// Refuses what is seen not to be a `Result`; aliases are left to the compiler.
    fn returns_result(&self, name: &str) -> syn::Result<()> {
        let (span, written) = match &self.sig.output {
            ReturnType::Default => (self.sig.ident.span(), "nothing".into()),
            ReturnType::Type(_, ty) if is_never_result(ty) => {
                (ty.span(), format!("`{}`", compact(ty)))
            }
            ReturnType::Type(..) => return Ok(()),
        };
        let message = format!(
            "`#[{name}]` needs a function that returns `Result`, for the calls that it refuses; this one returns {written}"
        );
        Err(syn::Error::new(span, message))
    }

    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.sig.receiver()
    }

    /// Whether the receiver is `&mut self`.
    pub(crate) fn is_by_mut_reference(&self) -> bool {
        let kind = self.receiver().map(|receiver| &receiver.kind);
        matches!(kind, Some(ReceiverKind::Reference(_, _, Some(_))))
    }

    /// Whether a parameter binds `name`.
    pub(crate) fn has_parameter(&self, name: &Ident) -> bool {
        self.sig.inputs.iter().any(|input| match input {
            FnArg::Typed(input) => binds(&input.pat, name),
            FnArg::Receiver(_) => false,
        })
    }

    /// The returned type, for messages and annotations inside the body.
    pub(crate) fn output(&self) -> Option<Type> {
        match &self.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => {
                let mut ty = (**ty).clone();
                without_impl(&mut ty);
                Some(ty)
            }
        }
    }

    pub(crate) fn body(&self) -> TokenStream {
        self.body.to_token_stream()
    }

    /// Everything but the attributes.
    pub(crate) fn without_attrs(&self) -> TokenStream {
        let Self { vis, sig, body, .. } = self;
        let end = body.as_ref().map_or_else(|| quote!(;), ToTokens::to_token_stream);
        quote!(#vis #sig #end)
    }

    /// The function with another body.
    pub(crate) fn with_body(&self, body: &TokenStream) -> TokenStream {
        let Self { attrs, vis, sig, .. } = self;
        let mut body = Group::new(Delimiter::Brace, body.clone());
        if let Some(written) = &self.body {
            body.set_span(written.span());
        }
        quote!(#(#attrs)* #vis #sig #body)
    }

    /// The function with a body that says nothing, for use beside an error.
    pub(crate) fn without_body(&self) -> TokenStream {
        self.with_body(&quote!(::core::unreachable!()))
    }

    /// The span of the returned type.
    pub(crate) fn output_span(&self) -> Span {
        self.output().map_or_else(Span::mixed_site, |output| output.span())
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig: Signature = input.parse()?;
        let body = if input.peek(token::Brace) {
            Some(input.parse()?)
        } else {
            input.parse::<Token![;]>()?;
            None
        };
        Ok(Self { attrs, vis, sig, body })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, .. } = self;
        let item = self.without_attrs();
        tokens.extend(quote!(#(#attrs)* #item));
    }
}

/// A type as people write it.
fn compact(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    let joined = [" <", " >", "< ", "& ", " ,", "( ", " )"];
    joined.iter().fold(text, |text, spaced| text.replace(spaced, spaced.trim()))
}

fn is_opaque_future(ty: &Type) -> bool {
    let Type::ImplTrait(ty) = ty else { return false };
    ty.bounds.iter().any(|bound| match bound {
        syn::TypeParamBound::Trait(bound) => {
            bound.path.segments.last().is_some_and(|segment| segment.ident == "Future")
        }
        _ => false,
    })
}

fn is_boxed_future(ty: &Type) -> bool {
    let Some((name, arguments)) = last_segment(ty) else { return false };
    if name == "BoxFuture" || name == "LocalBoxFuture" {
        return true;
    }
    let inner = arguments.first().and_then(|ty| last_segment(ty));
    name == "Pin" && inner.is_some_and(|(name, _)| name == "Box")
}

fn is_never_result(ty: &Type) -> bool {
    const NAMES: &[&str] = &[
        "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32",
        "i64", "i128", "isize", "f32", "f64", "String", "Option", "Vec", "Box", "Arc",
    ];
    match ty {
        Type::Array(_) | Type::Never(_) | Type::Reference(_) | Type::Slice(_) | Type::Tuple(_) => {
            true
        }
        _ => last_segment(ty).is_some_and(|(name, _)| NAMES.iter().any(|known| name == known)),
    }
}
