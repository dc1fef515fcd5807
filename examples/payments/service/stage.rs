//! Where an order stands, and how it gets there.
//!
//! ```text
//! accepted => charging => paid
//!                      => refused     the bank will not charge it
//!                      => accepted    certainly not charged: later
//!                      => unknown     => paid, or charging again after the bank was asked
//! ```

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be charged; certainly not charged yet.
    Accepted,
    /// The bank may be working on it.
    Charging,
    /// The bank did not answer.
    Unknown,
    /// Charged.
    Paid,
    /// Will never be charged.
    Refused,
}

/// How an attempt to charge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The bank answered: charged.
    Charged,
    /// The bank answered: it will not charge this.
    Declined,
    /// The bank certainly did not see it.
    NotSent,
    /// No answer.
    Unknown,
    /// No answer, and when asked the bank had booked it.
    Found,
    /// No answer, and when asked the bank had nothing.
    Nothing,
    /// No answer, and a notice said that it is booked.
    Told,
}

impl Stage {
    /// Its name in a row.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Charging => "charging",
            Self::Unknown => "unknown",
            Self::Paid => "paid",
            Self::Refused => "refused",
        }
    }

    /// The stage of this name.
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "accepted" => Self::Accepted,
            "charging" => Self::Charging,
            "paid" => Self::Paid,
            "refused" => Self::Refused,
            // Asking the bank is right whatever it was.
            _ => Self::Unknown,
        }
    }
}

impl Ending {
    /// Its name in a row.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Charged => "charged",
            Self::Declined => "declined",
            Self::NotSent => "not sent",
            Self::Unknown => "unknown",
            Self::Found => "found",
            Self::Nothing => "nothing",
            Self::Told => "told",
        }
    }
}
