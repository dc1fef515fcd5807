//! The calls that the rules look at.

pub(crate) mod count;
pub(crate) mod meta;
pub(crate) mod owned;
pub(crate) mod ring;
pub(crate) mod slots;
pub(crate) mod tally;
pub(crate) mod thread;

#[cfg(test)]
mod tests;

pub(crate) use count::CountRing;
pub(crate) use owned::Owned;
pub(crate) use ring::{Extra, Ring};
pub(crate) use tally::Sample;
pub use tally::Tally;
