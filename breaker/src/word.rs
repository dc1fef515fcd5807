//! All that admission needs to know, in one word.
//!
//! ```text
//! 63                    16 15        8 7         3 2     0
//! [ generation, 48 bits  ] [ level, 8 ] [ flags, 5 ] [ state, 3 ]
//! ```
//!
//! Every transition raises the generation, so a result of an earlier state is recognised when it
//! comes back. The level is the share of calls let through, in percent, while ramping; a state that
//! sheds a share of calls before opening has a number and this field waiting for it.

use crate::state::State;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    const STATE: u64 = 0b111;
    /// Decides and reports, refuses nobody.
    const SHADOW: u64 = 1 << 3;
    /// The share of bad calls is over its limit and only the minimum is missing: successes are evaluated too.
    const WATCH: u64 = 1 << 4;
    const LEVEL_SHIFT: u32 = 8;
    const LEVEL: u64 = 0xff << Self::LEVEL_SHIFT;
    const GENERATION_SHIFT: u32 = 16;

    /// Closed, for the first time.
    pub(crate) fn first() -> Self {
        Self(State::Closed.code() | (1 << Self::GENERATION_SHIFT))
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn is_closed(self) -> bool {
        self.0 & Self::STATE == State::Closed.code()
    }

    pub(crate) fn state(self) -> State {
        State::from_code(self.0 & Self::STATE)
    }

    pub(crate) fn level(self) -> u8 {
        u8::try_from((self.0 & Self::LEVEL) >> Self::LEVEL_SHIFT).expect("the mask leaves 8 bits")
    }

    pub(crate) fn generation(self) -> u64 {
        self.0 >> Self::GENERATION_SHIFT
    }

    pub(crate) fn is_shadow(self) -> bool {
        self.0 & Self::SHADOW != 0
    }

    pub(crate) fn is_watched(self) -> bool {
        self.0 & Self::WATCH != 0
    }

    /// The word after a transition: next generation, nothing watched, shadow kept.
    pub(crate) fn next(self, state: State, level: u8) -> Self {
        let generation = self.generation().wrapping_add(1) << Self::GENERATION_SHIFT;
        let level = u64::from(level) << Self::LEVEL_SHIFT;
        Self(generation | level | (self.0 & Self::SHADOW) | state.code())
    }

    pub(crate) fn with_level(self, level: u8) -> Self {
        Self((self.0 & !Self::LEVEL) | (u64::from(level) << Self::LEVEL_SHIFT))
    }

    pub(crate) fn with_shadow(self, on: bool) -> Self {
        self.with(Self::SHADOW, on)
    }

    pub(crate) fn with_watch(self, on: bool) -> Self {
        self.with(Self::WATCH, on)
    }

    fn with(self, flag: u64, on: bool) -> Self {
        Self(if on { self.0 | flag } else { self.0 & !flag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_touch_each_other() {
        let word = Word::first().with_shadow(true).with_watch(true).next(State::Ramping, 255);
        assert_eq!((word.state(), word.level(), word.generation()), (State::Ramping, 255, 2));
        assert!(word.is_shadow() && !word.is_watched());
        let word = word.with_level(7).with_watch(true).with_shadow(false);
        assert_eq!((word.state(), word.level(), word.generation()), (State::Ramping, 7, 2));
        assert!(word.is_watched() && !word.is_shadow());
    }

    #[test]
    fn the_generation_wraps_without_touching_the_state() {
        let last = Word::from_bits((u64::MAX << 16) | State::Open.code());
        assert_eq!(last.next(State::Closed, 0).generation(), 0);
        assert!(last.next(State::Closed, 0).is_closed());
    }
}
