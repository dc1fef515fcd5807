//! The arguments of an attribute: `name = value`, separated by commas.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{
    Expr, ExprLit, ExprPath, Lit, Path, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
    spanned::Spanned,
};

use crate::{
    kind::Kind,
    suggest,
    syntax::{as_ident, peel},
};

/// Marks an attribute that was already moved to its place in the stack.
pub(crate) const PLACED: &str = "__mainstay_placed";

/// The arguments of one attribute, checked against what it takes.
#[derive(Default)]
pub(crate) struct Args {
    given: Vec<Arg>,
    /// Whether the attribute was already moved to its place in the stack.
    pub(crate) placed: bool,
}

struct Arg {
    name: Ident,
    value: Expr,
}

impl Args {
    /// Reads the arguments of `kind`; every mistake is in the error.
    pub(crate) fn parse(kind: Kind, tokens: TokenStream) -> syn::Result<Self> {
        let (placed, tokens) = strip_placed(tokens);
        let list = Punctuated::<Arg, Token![,]>::parse_terminated.parse2(tokens)?;
        let args = Self { given: list.into_iter().collect(), placed };
        args.check(kind)?;
        Ok(args)
    }

    /// The value of argument `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Expr> {
        self.given.iter().find(|arg| arg.is(name)).map(|arg| &arg.value)
    }

    /// The value of argument `name`, and where its name stands.
    pub(crate) fn get_with_span(&self, name: &str) -> Option<(Span, &Expr)> {
        self.given.iter().find(|arg| arg.is(name)).map(|arg| (arg.name.span(), &arg.value))
    }

    /// The name that argument `name` binds.
    pub(crate) fn binding(&self, name: &str) -> syn::Result<Option<&Ident>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let ident = as_ident(value).filter(|ident| *ident != "self" && *ident != "Self");
        let example = if name == "tx" { "tx" } else { "held" };
        let needs = || format!("`{name}` binds a name in the body: write `{name} = {example}`");
        ident.map(Some).ok_or_else(|| syn::Error::new(value.span(), needs()))
    }

    /// The path given as `crate = path`.
    pub(crate) fn crate_path(&self) -> syn::Result<Option<Path>> {
        match self.get("crate").map(peel) {
            None => Ok(None),
            Some(Expr::Path(ExprPath { qself: None, path, .. })) => Ok(Some(path.clone())),
            Some(other) => {
                let message = "`crate` is a path without quotes, such as `crate = ::renamed`";
                Err(syn::Error::new(other.span(), message))
            }
        }
    }

    fn useless(&self, kind: Kind) -> impl Iterator<Item = syn::Error> {
        let has_tx = kind == Kind::Idempotent && self.get("tx").is_some();
        let given = self.given.iter().filter(move |arg| has_tx && EXTERNAL.contains(&&*arg.text()));
        given.map(|arg| {
            arg.error(format!(
                "`{}` is for work outside of the database; with `tx` the transaction decides what was done",
                arg.name
            ))
        })
    }

    fn check(&self, kind: Kind) -> syn::Result<()> {
        let unknown = self.given.iter().filter_map(|arg| arg.unknown(kind));
        let useless = self.useless(kind);
        let quoted = self.given.iter().filter_map(Arg::quoted);
        let twice = self.given.iter().enumerate().filter_map(|(at, arg)| {
            let is_repeated = self.given[..at].iter().any(|earlier| earlier.name == arg.name);
            is_repeated.then(|| arg.error(format!("`{}` is given twice", arg.name)))
        });
        // A misspelt argument is not missing as well.
        let meant = |name: &str| {
            let means = |arg: &Arg| suggest::argument(kind, &arg.text()) == Some(name);
            self.given.iter().any(|arg| arg.is(name) || means(arg))
        };
        let missing =
            kind.required().iter().filter(|(name, _)| !meant(name)).map(|(name, what)| {
                let message = format!("`#[{}]` needs `{name}`: {what}", kind.name());
                syn::Error::new(Span::call_site(), message)
            });
        collect(unknown.chain(twice).chain(useless).chain(quoted).chain(missing))
    }
}

/// What concerns work outside of a transaction, given beside one.
const EXTERNAL: &[&str] = &["lease", "classify"];

/// What is never text.
const CODE: &[&str] = &["with", "permits", "classify", "on_reject"];

/// All `errors` in one, or none.
pub(crate) fn collect(errors: impl Iterator<Item = syn::Error>) -> syn::Result<()> {
    let join = |mut all: syn::Error, error| {
        all.combine(error);
        all
    };
    errors.reduce(join).map_or(Ok(()), Err)
}

impl Arg {
    fn text(&self) -> String {
        self.name.to_string()
    }

    fn is(&self, name: &str) -> bool {
        self.name == name
    }

    fn error(&self, message: String) -> syn::Error {
        syn::Error::new(self.name.span(), message)
    }

    /// Code in quotes, as some attributes want it.
    fn quoted(&self) -> Option<syn::Error> {
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = peel(&self.value) else { return None };
        let name = self.text();
        let is_code = CODE.contains(&&*name);
        let message = || format!("`{name}` is an expression: write it without quotes");
        is_code.then(|| syn::Error::new(text.span(), message()))
    }

    fn unknown(&self, kind: Kind) -> Option<syn::Error> {
        let written = self.text();
        if kind.arguments().contains(&written.as_str()) {
            return None;
        }
        let attribute = kind.name();
        let hint = match (suggest::argument(kind, &written), suggest::takers(&written)) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, takers) if !takers.is_empty() => {
                let takers: Vec<_> = takers.iter().map(|name| format!("`#[{name}]`")).collect();
                format!("it is an argument of {}", takers.join(" and "))
            }
            (None, _) => format!("it takes {}", kind.arguments().join(", ")),
        };
        Some(self.error(format!("`#[{attribute}]` has no argument `{written}`; {hint}")))
    }
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = Ident::parse_any(input)
            .map_err(|error| syn::Error::new(error.span(), "write arguments as `name = value`"))?;
        if !input.peek(Token![=]) {
            return Err(syn::Error::new(
                name.span(),
                format!("`{name}` needs a value: `{name} = ..`"),
            ));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new(
                name.span(),
                format!("`{name}` needs a value: `{name} = ..`"),
            ));
        }
        Ok(Self { name, value: input.parse()? })
    }
}

/// Takes the mark off the front of an attribute's arguments.
pub(crate) fn strip_placed(tokens: TokenStream) -> (bool, TokenStream) {
    let mut rest = tokens.clone().into_iter();
    match rest.next() {
        Some(first) if first.to_string() == PLACED => (true, rest.skip(1).collect()),
        _ => (false, tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: Kind, text: &str) -> String {
        let Err(error) = Args::parse(kind, text.parse().unwrap()) else {
            panic!("{text} was taken")
        };
        error.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn arguments_are_found_by_name() {
        let text = "with = self.locks, key = \"a\", guard = r#type, crate = ::renamed,";
        let args = Args::parse(Kind::Lock, text.parse().unwrap()).unwrap();
        assert!(args.get("wait").is_none());
        assert_eq!(args.binding("guard").unwrap().unwrap().to_string(), "r#type");
        assert!(args.crate_path().unwrap().is_some());
        assert!(!args.placed);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let told = error(Kind::Lock, "wati = \"1s\", wait = \"1s\", wait = \"2s\"");
        for part in ["did you mean `wait`?", "`wait` is given twice", "needs `with`", "needs `key`"]
        {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn a_misspelt_argument_is_not_also_missing() {
        let told = error(Kind::Lock, "wiht = self.locks, key = \"a\"");
        assert_eq!(told, "`#[lock]` has no argument `wiht`; did you mean `with`?");
    }

    #[test]
    fn an_argument_of_another_attribute_names_it() {
        let told = error(Kind::Lock, "with = l, key = \"a\", permits = 2");
        assert_eq!(told, "`#[lock]` has no argument `permits`; it is an argument of `#[limit]`");
    }

    #[test]
    fn what_a_transaction_makes_useless_is_refused() {
        let told = error(Kind::Idempotent, "with = o, key = k, tx = tx, lease = \"30s\"");
        assert!(told.starts_with("`lease` is for work outside of the database"), "{told}");
    }

    #[test]
    fn shapes_that_are_no_arguments_are_refused() {
        assert!(error(Kind::Lock, "\"order\"").contains("write arguments as"));
        assert!(error(Kind::Lock, "with, key = \"a\"").contains("`with` needs a value"));
        assert!(error(Kind::Lock, "with = , key = \"a\"").contains("`with` needs a value"));
    }

    #[test]
    fn a_binding_must_be_a_name() {
        for value in ["\"lock\"", "a.b", "self", "_", "f()"] {
            let text = format!("with = l, key = \"a\", guard = {value}");
            let args = Args::parse(Kind::Lock, text.parse().unwrap()).unwrap();
            assert!(args.binding("guard").is_err(), "{value}");
        }
    }
}
