//! Keys: `"order:{req.order_id}"`, or any expression.

mod hole;
mod scan;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, LitStr, spanned::Spanned};

use crate::{function::Function, kind::Root, syntax::peel};
use hole::Hole;
use scan::Piece;

/// What can be put into a template.
pub(crate) struct Context<'a> {
    /// Where `Key` is exported.
    pub(crate) root: &'a Root,
    pub(crate) function: &'a Function,
}

/// The key given to argument `name`.
pub(crate) fn tokens(name: &str, value: &Expr, context: &Context<'_>) -> syn::Result<TokenStream> {
    let Expr::Lit(ExprLit { lit, .. }) = peel(value) else {
        return Ok(quote!(#value));
    };
    let Lit::Str(text) = lit else {
        let message =
            format!("`{name}` is text: write `{name} = \"order:{{id}}\"`, or pass an expression");
        return Err(syn::Error::new(value.span(), message));
    };
    builder(text, context).map_err(|message| syn::Error::new(text.span(), message))
}

fn builder(text: &LitStr, context: &Context<'_>) -> Result<TokenStream, String> {
    let pieces = scan::pieces(&text.value())?;
    check(&pieces)?;
    let span = text.span();
    let steps = pieces
        .iter()
        .map(|piece| step(piece, span, context))
        .collect::<Result<TokenStream, _>>()?;
    let root = context.root.at(span);
    Ok(quote_spanned!(span=> #root::Key::builder() #steps .finish()))
}

fn step(piece: &Piece, span: Span, context: &Context<'_>) -> Result<TokenStream, String> {
    let hole = match piece {
        Piece::Literal(text) => return Ok(quote_spanned!(span=> .literal(#text))),
        Piece::Hole(hole) => hole,
    };
    if hole.is_self() && context.function.receiver().is_none() {
        return Err(format!("`{{{}}}`: this function has no `self`", hole.text));
    }
    Ok(value(hole, span))
}

fn value(hole: &Hole, span: Span) -> TokenStream {
    let place = hole.tokens(span);
    if hole.spec.is_empty() {
        return quote_spanned!(span=> .value(&#place));
    }
    let format = LitStr::new(&format!("{{:{}}}", hole.spec), span);
    quote_spanned!(span=> .value(&::core::format_args!(#format, #place)))
}

/// Refuses keys that could never be built, and values that could be mistaken for each other.
fn check(pieces: &[Piece]) -> Result<(), String> {
    for pair in pieces.windows(2) {
        if let [Piece::Hole(a), Piece::Hole(b)] = pair {
            let (a, b) = (&a.text, &b.text);
            return Err(format!(
                "`{{{a}}}{{{b}}}`: nothing parts the two values, so different values could give one key; \
                 write `{{{a}}}:{{{b}}}`"
            ));
        }
    }
    let outline: String = pieces.iter().map(Piece::outline).collect();
    if outline.is_empty() {
        return Err("the key is empty; name what is meant, such as \"order:{id}\"".into());
    }
    if outline.split(':').any(str::is_empty) {
        return Err(
            "the key has an empty part; put text or a value on both sides of every `:`".into()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{Kind, Via};

    fn expand(value: &str) -> Result<String, String> {
        let function = syn::parse_str("async fn f(&self) -> R {}").unwrap();
        let context = Context {
            root: &Root { kind: Kind::Lock, via: Via::Owner, chosen: None },
            function: &function,
        };
        let value = syn::parse_str(value).unwrap();
        match tokens("key", &value, &context) {
            Ok(tokens) => Ok(tokens.to_string().replace(' ', "")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn values_become_builder_calls() {
        let expected =
            "::mainstay_lock::Key::builder().literal(\"order:\").value(&req.order_id).finish()";
        assert_eq!(expand("\"order:{req.order_id}\"").as_deref(), Ok(expected));
        let expected = "::mainstay_lock::Key::builder().value(&self.tenant).literal(\":\").value(&pair.0.1)\
                        .literal(\":\").value(&::core::format_args!(\"{:08}\",r#type)).finish()";
        assert_eq!(expand("\"{self.tenant}:{pair.0.1}:{r#type:08}\"").as_deref(), Ok(expected));
    }

    #[test]
    fn doubled_braces_are_text() {
        let expected = "::mainstay_lock::Key::builder().literal(\"a{b}\").finish()";
        assert_eq!(expand("\"a{{b}}\"").as_deref(), Ok(expected));
    }

    #[test]
    fn expressions_are_kept() {
        assert_eq!(expand("&req.key").as_deref(), Ok("&req.key"));
        assert_eq!(expand("key!(\"a:{}\", b())").as_deref(), Ok("key!(\"a:{}\",b())"));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (value, advice) in [
            ("\"\"", "the key is empty"),
            ("\"order:\"", "empty part"),
            ("\"a::b\"", "empty part"),
            ("\"order:{}\"", "name the value"),
            ("\"order:{0}\"", "name the value"),
            ("\"order:{id\"", "never closed"),
            ("\"order:id}\"", "never opened"),
            ("\"order:{req.id()}\"", "key = key!(\"order:{}\", req.id())"),
            ("\"order:{ids[0]}\"", "key = key!(\"order:{}\", ids[0])"),
            ("\"order:{a::B}\"", "key = key!(\"order:{}\", a::B)"),
            ("\"order:{id:w$}\"", "takes no `$`"),
            ("\"order:{fn}\"", "`fn` is a keyword"),
            ("\"{a}{b}\"", "write `{a}:{b}`"),
            ("7", "`key` is text"),
        ] {
            let error = expand(value).expect_err(value);
            assert!(error.contains(advice), "{value}: {error}");
        }
    }
}
