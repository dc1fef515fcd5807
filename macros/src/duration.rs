//! Durations: `"250ms"`, checked at compile time, or any expression.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, spanned::Spanned};

use crate::syntax::peel;

const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("sec", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("min", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

/// The duration given to argument `name`.
pub(crate) fn tokens(name: &str, value: &Expr) -> syn::Result<TokenStream> {
    let fail = |message: String| syn::Error::new(value.span(), message);
    let Expr::Lit(ExprLit { lit, .. }) = peel(value) else {
        return Ok(quote!(#value));
    };
    let Lit::Str(text) = lit else {
        return Err(fail(format!(
            "`{name}` is a duration: write the unit, such as `{name} = \"250ms\"`, or pass a `Duration`"
        )));
    };
    let nanos = parse(&text.value()).map_err(|why| {
        fail(format!(
            "`{}` is no duration: {why}, as in \"250ms\", \"30s\", \"1m 30s\"",
            text.value()
        ))
    })?;
    if nanos == 0 {
        return Err(fail(zero(name)));
    }
    Ok(constant(nanos, text.span()))
}

fn zero(name: &str) -> String {
    match name {
        "wait" => {
            "`wait` is zero; to refuse at once instead of waiting, pass `Duration::ZERO`".into()
        }
        _ => format!("`{name}` is zero: it would be over before the work begins"),
    }
}

fn constant(nanos: u64, span: Span) -> TokenStream {
    match (nanos / 1_000_000, nanos % 1_000_000) {
        (millis, 0) => quote_spanned!(span=> ::core::time::Duration::from_millis(#millis)),
        _ => quote_spanned!(span=> ::core::time::Duration::from_nanos(#nanos)),
    }
}

fn parse(text: &str) -> Result<u64, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it is empty; give a number and a unit".into());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (nanos, after) = step(rest)?;
        total = total.checked_add(nanos).ok_or("it is longer than 584 years")?;
        rest = after.trim_start();
    }
    Ok(total)
}

/// Reads one number with its unit, and gives what follows.
fn step(text: &str) -> Result<(u64, &str), String> {
    let (number, rest) = split(text, |c| c.is_ascii_digit());
    if rest.starts_with('.') {
        return Err("it has a fraction; use a smaller unit".into());
    }
    let (unit, rest) = split(rest.trim_start(), char::is_alphabetic);
    if number.is_empty() {
        return Err("a number must come before each unit".into());
    }
    let number: u64 = number.parse().map_err(|_| "the number is too large")?;
    let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(match unit {
            "" => "the unit is missing; use ns, us, ms, s, m, h or d".into(),
            _ => format!("`{unit}` is no unit; use ns, us, ms, s, m, h or d"),
        });
    };
    let nanos = number.checked_mul(*nanos).ok_or("it is longer than 584 years")?;
    Ok((nanos, rest))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("250ms"), Ok(250_000_000));
        assert_eq!(parse("1m 30s"), Ok(90_000_000_000));
        assert_eq!(parse("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(parse(" 7 us "), Ok(7_000));
    }

    #[test]
    fn nonsense_says_why() {
        for (text, why) in [
            ("", "empty"),
            ("250", "unit is missing"),
            ("30 parsecs", "`parsecs` is no unit"),
            ("ms", "a number must come"),
            ("1.5s", "fraction"),
            ("-1s", "a number must come"),
            ("99999999999999999999s", "too large"),
            ("9999999999999d", "584 years"),
            ("1s,", "a number must come"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn literals_become_constants() {
        let expand = |value: &str| tokens("wait", &syn::parse_str(value).unwrap());
        let constant = |value| expand(value).unwrap().to_string().replace(' ', "");
        assert_eq!(constant("\"2s\""), "::core::time::Duration::from_millis(2000u64)");
        assert_eq!(constant("\"5us\""), "::core::time::Duration::from_nanos(5000u64)");
        assert_eq!(constant("self.wait"), "self.wait");
        assert!(expand("\"0s\"").is_err());
        assert!(expand("250").is_err());
    }
}
