//! Three books that were kept apart, compared.
//!
//! What customers were told is paid, what the bank booked, and what reached the
//! ledger. Nobody copied one from another, so they agree only if every order was
//! charged once and every charge was reported once.

use std::collections::BTreeMap;

use serde::Serialize;

/// One line of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The order that was paid.
    pub(crate) order_id: String,
    /// Amount in cents.
    pub(crate) cents: u64,
}

/// The payments that one party has written down, by order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// Whose it is.
    pub(crate) name: &'static str,
    orders: BTreeMap<String, Posted>,
}

/// What is written down for one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Posted {
    entries: u64,
    cents: u64,
}

impl Book {
    /// Collects the entries of a book.
    pub(crate) fn new(name: &'static str, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut orders: BTreeMap<String, Posted> = BTreeMap::new();
        for entry in entries {
            let posted = orders.entry(entry.order_id).or_default();
            posted.entries += 1;
            posted.cents += entry.cents;
        }
        Self { name, orders }
    }

    /// Sum of all entries.
    pub(crate) fn cents(&self) -> u64 {
        self.orders.values().map(|posted| posted.cents).sum()
    }

    fn summary(&self) -> BookFigures {
        let twice = || self.orders.values().filter(|posted| posted.entries > 1);
        BookFigures {
            name: self.name,
            entries: self.orders.values().map(|posted| posted.entries).sum(),
            orders: self.orders.len() as u64,
            cents: self.cents(),
            orders_more_than_once: twice().count() as u64,
            // Entries of one order are equal, so all but the first are too much.
            cents_too_much: twice().map(|p| p.cents - p.cents / p.entries).sum(),
        }
    }

    fn posted(&self, order_id: &str) -> Posted {
        self.orders.get(order_id).copied().unwrap_or_default()
    }
}

/// A book in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BookFigures {
    /// Whose it is.
    pub(crate) name: &'static str,
    /// Lines in it.
    pub(crate) entries: u64,
    /// Distinct orders in it.
    pub(crate) orders: u64,
    /// Sum of all entries.
    pub(crate) cents: u64,
    /// Orders that stand in it more than once.
    pub(crate) orders_more_than_once: u64,
    /// What the repeated entries add.
    pub(crate) cents_too_much: u64,
}

/// An order on which the books disagree: entries and cents in each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// The order.
    pub(crate) order_id: String,
    /// Entries of it in each book, in the books' order.
    pub(crate) entries: Vec<u64>,
    /// Cents of it in each book.
    pub(crate) cents: Vec<u64>,
}

/// The result of comparing books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Comparison {
    /// The books in figures.
    pub(crate) books: Vec<BookFigures>,
    /// Orders on which they disagree.
    pub(crate) differences: Vec<Difference>,
}

impl Comparison {
    /// Compares `books` order by order.
    pub(crate) fn of(books: &[Book]) -> Self {
        let ids = books.iter().flat_map(|book| book.orders.keys());
        let ids: std::collections::BTreeSet<&String> = ids.collect();
        let difference = |id: &String| {
            let posted: Vec<Posted> = books.iter().map(|book| book.posted(id)).collect();
            let differs = posted.iter().any(|other| *other != posted[0]);
            differs.then(|| Difference {
                order_id: id.clone(),
                entries: posted.iter().map(|posted| posted.entries).collect(),
                cents: posted.iter().map(|posted| posted.cents).collect(),
            })
        };
        Self {
            differences: ids.into_iter().filter_map(difference).collect(),
            books: books.iter().map(Book::summary).collect(),
        }
    }

    /// Every order stands in every book, as often and with the same amount.
    pub(crate) fn balanced(&self) -> bool {
        self.differences.is_empty()
    }

    /// The line that says whether the books balance.
    pub(crate) fn verdict(&self) -> String {
        let count = self.books.len();
        if self.balanced() {
            let cents = self.books.first().map_or(0, |book| book.cents);
            return format!("books balanced: {cents} cents in {count} of {count} books");
        }
        let sums: Vec<String> = self.books.iter().map(|b| b.cents.to_string()).collect();
        format!(
            "books NOT balanced: {} cents; they differ on {} orders",
            sums.join(" / "),
            self.differences.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(name: &'static str, entries: &[(&str, u64)]) -> Book {
        let entry = |&(id, cents): &(&str, u64)| Entry { order_id: id.to_owned(), cents };
        Book::new(name, entries.iter().map(entry))
    }

    #[test]
    fn equal_books_balance_in_any_order_of_entries() {
        let a = book("a", &[("1", 10), ("2", 20)]);
        let b = book("b", &[("2", 20), ("1", 10)]);
        let comparison = Comparison::of(&[a, b.clone(), b]);
        assert!(comparison.balanced());
        assert_eq!(comparison.verdict(), "books balanced: 30 cents in 3 of 3 books");
    }

    #[test]
    fn equal_sums_of_different_orders_do_not_balance() {
        let a = book("a", &[("1", 10), ("2", 20)]);
        let b = book("b", &[("1", 20), ("2", 10)]);
        let comparison = Comparison::of(&[a, b]);
        assert!(!comparison.balanced());
        assert_eq!(
            comparison.verdict(),
            "books NOT balanced: 30 / 30 cents; they differ on 2 orders"
        );
    }

    #[test]
    fn an_order_charged_twice_or_missing_is_named() {
        let a = book("a", &[("1", 10), ("2", 20)]);
        let b = book("b", &[("1", 10), ("1", 10), ("1", 10)]);
        let comparison = Comparison::of(&[a, b]);
        let ids: Vec<&str> = comparison.differences.iter().map(|d| d.order_id.as_str()).collect();
        assert_eq!(ids, ["1", "2"]);
        assert_eq!(comparison.differences[0].entries, [1, 3]);
        assert_eq!(comparison.books[1].orders_more_than_once, 1);
        assert_eq!(comparison.books[1].cents_too_much, 20);
        assert!(!comparison.balanced());
    }
}
