//! Small questions about parsed code.

use syn::{Expr, Ident, Pat, PathArguments, Type, ext::IdentExt};

/// `expr` without the invisible groups that `macro_rules!` puts around its arguments.
pub(crate) fn peel(mut expr: &Expr) -> &Expr {
    while let Expr::Group(group) = expr {
        expr = &group.expr;
    }
    expr
}

/// The single identifier that `expr` is, if it is one.
pub(crate) fn as_ident(expr: &Expr) -> Option<&Ident> {
    match peel(expr) {
        Expr::Path(path) if path.attrs.is_empty() && path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// Whether `pat` binds `name`.
pub(crate) fn binds(pat: &Pat, name: &Ident) -> bool {
    let in_pat = |pat: &Pat| binds(pat, name);
    match pat {
        Pat::Ident(pat) => {
            pat.ident.unraw() == name.unraw()
                || pat.subpat.as_ref().is_some_and(|(_, pat)| in_pat(pat))
        }
        Pat::Or(pat) => pat.cases.iter().any(in_pat),
        Pat::Paren(pat) => in_pat(&pat.pat),
        Pat::Reference(pat) => in_pat(&pat.pat),
        Pat::Slice(pat) => pat.elems.iter().any(in_pat),
        Pat::Struct(pat) => pat.fields.iter().any(|field| binds(&field.pat, name)),
        Pat::Tuple(pat) => pat.elems.iter().any(in_pat),
        Pat::TupleStruct(pat) => pat.elems.iter().any(in_pat),
        Pat::Type(pat) => in_pat(&pat.pat),
        _ => false,
    }
}

/// The last word of a type's path and its type arguments.
pub(crate) fn last_segment(ty: &Type) -> Option<(&Ident, Vec<&Type>)> {
    let ty = match ty {
        Type::Group(group) => return last_segment(&group.elem),
        Type::Paren(paren) => return last_segment(&paren.elem),
        Type::Path(path) => path,
        _ => return None,
    };
    let segment = ty.path.segments.last()?;
    let types = match &segment.arguments {
        PathArguments::AngleBracketed(list) => list
            .args
            .iter()
            .filter_map(|argument| match argument {
                syn::GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    Some((&segment.ident, types))
}

/// Replaces every `impl Trait` by `_`, so that the type can be written inside a body.
pub(crate) fn without_impl(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = syn::parse_quote!(_),
        Type::Array(ty) => without_impl(&mut ty.elem),
        Type::Group(ty) => without_impl(&mut ty.elem),
        Type::Paren(ty) => without_impl(&mut ty.elem),
        Type::Reference(ty) => without_impl(&mut ty.elem),
        Type::Slice(ty) => without_impl(&mut ty.elem),
        Type::Tuple(ty) => ty.elems.iter_mut().for_each(without_impl),
        Type::Path(ty) => {
            for segment in &mut ty.path.segments {
                if let PathArguments::AngleBracketed(list) = &mut segment.arguments {
                    for argument in &mut list.args {
                        if let syn::GenericArgument::Type(ty) = argument {
                            without_impl(ty);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser;

    use super::*;

    #[test]
    fn bound_names_are_found_in_every_pattern() {
        let name: Ident = syn::parse_quote!(lock);
        for (text, bound) in [
            ("lock", true),
            ("State(lock)", true),
            ("Order { lock, .. }", true),
            ("(a, [b, lock])", true),
            ("whole @ (lock, _)", true),
            ("&lock", true),
            ("r#lock", true),
            ("Order { lock: other }", false),
            ("lock::Order(a)", false),
        ] {
            let pat = Pat::parse_single.parse_str(text).unwrap();
            assert_eq!(binds(&pat, &name), bound, "{text}");
        }
    }

    #[test]
    fn impl_trait_is_left_to_inference() {
        let mut ty: Type = syn::parse_quote!(Result<(impl Iterator<Item = u8>, u8), E>);
        without_impl(&mut ty);
        assert_eq!(quote::quote!(#ty).to_string(), "Result < (_ , u8) , E >");
    }
}
