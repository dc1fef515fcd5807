//! Cuts a template into text and holes.

use super::hole::Hole;

/// A piece of a template.
pub(super) enum Piece {
    Literal(String),
    Hole(Hole),
}

impl Piece {
    /// The piece with something in place of a value.
    pub(super) fn outline(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Hole(_) => "value",
        }
    }
}

/// The pieces of `template`; neighbouring text is one piece.
pub(super) fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err("a `}` was never opened; write `}}` for the character".into());
        }
        let Some((inside, after)) = rest.split_once('}') else {
            return Err("a `{` is never closed; write `{{` for the character".into());
        };
        push_text(&mut pieces, &mut text);
        pieces.push(Piece::Hole(Hole::parse(inside, template)?));
        rest = after;
    }
    text.push_str(rest);
    push_text(&mut pieces, &mut text);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &mut String) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(text)));
    }
}
