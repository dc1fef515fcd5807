//! Closures given as arguments, typed so that their bodies may use the value's methods.
//!
//! The compiler learns a closure's parameter from the bound of the method that takes it. Ours go
//! through a type of their own, so the attribute writes the type that it knows.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Expr, Pat, Type};

use crate::syntax::{last_segment, peel};

/// `value`, and if it is a closure of one untyped parameter, with the type `ty` on it.
pub(crate) fn with_type(value: &Expr, ty: &TokenStream) -> TokenStream {
    let Expr::Closure(closure) = peel(value) else { return value.to_token_stream() };
    let mut closure = closure.clone();
    let mut inputs = closure.inputs.iter_mut();
    if let (Some(input), None) = (inputs.next(), inputs.next())
        && !matches!(input, Pat::Type(_))
    {
        let bare = input.to_token_stream();
        *input = Pat::Verbatim(quote!(#bare: #ty));
    }
    closure.into_token_stream()
}

/// A classifier of a function that returns `output`.
pub(crate) fn classifier(value: &Expr, output: Option<&Type>) -> TokenStream {
    match output.and_then(last_segment) {
        Some((name, types)) if name == "Result" && types.len() == 2 => {
            let (ok, error) = (types[0], types[1]);
            with_type(value, &quote!(::core::result::Result<&#ok, &#error>))
        }
        // An alias hides the types; the closure says them itself.
        _ => value.to_token_stream(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(value: &str, output: &str) -> String {
        let (value, output) = (syn::parse_str(value).unwrap(), syn::parse_str(output).unwrap());
        classifier(&value, Some(&output)).to_string().replace(' ', "")
    }

    #[test]
    fn an_untyped_parameter_gets_the_functions_types() {
        let expected = "|r:::core::result::Result<&u8,&PayError>|judge(r)";
        assert_eq!(typed("|r| judge(r)", "Result<u8, PayError>"), expected);
    }

    #[test]
    fn what_says_its_type_is_kept() {
        assert_eq!(typed("|r: R| judge(r)", "Result<u8, E>"), "|r:R|judge(r)");
        assert_eq!(typed("Self::judge", "Result<u8, E>"), "Self::judge");
        assert_eq!(typed("|r| judge(r)", "io::Result<u8>"), "|r|judge(r)");
    }
}
