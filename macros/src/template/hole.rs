//! One hole of a template: a variable, its fields, and how to format it.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::{Expr, ext::IdentExt};

/// What stands between `{` and `}`.
pub(super) struct Hole {
    /// As written.
    pub(super) text: String,
    path: Vec<Step>,
    /// What follows the `:`.
    pub(super) spec: String,
}

enum Step {
    Name(String),
    Index(u32),
}

impl Hole {
    /// Reads `text`, a hole of `template`.
    pub(super) fn parse(text: &str, template: &str) -> Result<Self, String> {
        if text.contains("::") || text.contains(['(', '[', '!', '&', '*', '+']) {
            return Err(advice(text, template));
        }
        let (place, spec) = text.split_once(':').unwrap_or((text, ""));
        if spec.contains(['$', '{']) {
            return Err(format!("`{{{text}}}`: the format of a value takes no `$` and no `{{`"));
        }
        let path =
            place.trim().split('.').enumerate().map(|(at, step)| read(text, at, step.trim()));
        Ok(Self {
            text: text.into(),
            path: path.collect::<Result<_, _>>()?,
            spec: spec.trim().into(),
        })
    }

    /// Whether the value is taken from the receiver.
    pub(super) fn is_self(&self) -> bool {
        matches!(self.path.first(), Some(Step::Name(name)) if name == "self")
    }

    /// The place expression, such as `self.tenant`.
    pub(super) fn tokens(&self, span: Span) -> TokenStream {
        let mut tokens = TokenStream::new();
        for (at, step) in self.path.iter().enumerate() {
            if at > 0 {
                tokens.extend(quote_spanned!(span=> .));
            }
            tokens.extend([step.token(span)]);
        }
        tokens
    }
}

impl Step {
    fn token(&self, span: Span) -> TokenTree {
        match self {
            Self::Name(name) => match name.strip_prefix("r#") {
                Some(raw) => Ident::new_raw(raw, span).into(),
                None => Ident::new(name, span).into(),
            },
            Self::Index(index) => {
                let mut literal = Literal::u32_unsuffixed(*index);
                literal.set_span(span);
                literal.into()
            }
        }
    }
}

fn read(hole: &str, at: usize, step: &str) -> Result<Step, String> {
    if step.is_empty() || (at == 0 && step.starts_with(|c: char| c.is_ascii_digit())) {
        return Err(format!("`{{{hole}}}`: name the value, such as `{{id}}` or `{{order.id}}`"));
    }
    if let (1.., Ok(index)) = (at, step.parse()) {
        return Ok(Step::Index(index));
    }
    let is_name = syn::parse_str::<Ident>(step).is_ok() || (at == 0 && step == "self");
    match is_name {
        true => Ok(Step::Name(step.into())),
        false => Err(no_name(hole, step)),
    }
}

fn no_name(hole: &str, step: &str) -> String {
    use syn::parse::Parser;
    match Ident::parse_any.parse_str(step) {
        Ok(_) => format!("`{{{hole}}}`: `{step}` is a keyword"),
        Err(_) => format!(
            "`{{{hole}}}`: `{step}` is no name; a value is a variable or its field, such as `{{order.id}}`"
        ),
    }
}

/// What to write for a hole that holds more than a field.
fn advice(text: &str, template: &str) -> String {
    let hole = format!("{{{text}}}");
    let is_only_hole = template.matches('{').count() == 1;
    let call = match syn::parse_str::<Expr>(text) {
        Ok(_) if is_only_hole => format!("key!(\"{}\", {text})", template.replace(&hole, "{}")),
        Ok(value) => format!("key!(.., {})", value.to_token_stream()),
        Err(_) => "key!(\"order:{}\", value)".into(),
    };
    format!("`{hole}`: a value is a variable or its field; write `key = {call}` for anything else")
}
