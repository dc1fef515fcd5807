//! Reads the purchase log.
//!
//! Two layouts are taken: the sample's five columns (customer, number in the
//! sample, date, CDs, value) and the master's four (without the number in the
//! sample), each with or without a header line. A line that cannot be read is
//! reported with its number and the rest goes on. Money is counted in whole cents.

use std::{collections::BTreeSet, fmt, io, path::Path};

use serde::Serialize;

/// Ten billion dollars: no purchase is larger, and no sum of purchases overflows.
const LARGEST: u64 = 1_000_000_000_000;

/// A purchase to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Unique name: the line it stood on, because equal lines are distinct purchases.
    pub(crate) id: String,
    /// Who bought.
    pub(crate) customer: String,
    /// Day of the purchase, YYYYMMDD.
    pub(crate) date: String,
    /// Number of CDs.
    pub(crate) cds: u32,
    /// Value in cents. Zero is kept: the service has to refuse it, not the reader.
    pub(crate) cents: u64,
}

/// A line that is no purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Malformed {
    /// Number of the line, from 1.
    pub(crate) line: usize,
    /// What is wrong with it.
    pub(crate) why: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// A purchase log as read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// Purchases, oldest day first, in the file's order within a day.
    pub(crate) orders: Vec<Order>,
    /// Lines that were left out.
    pub(crate) malformed: Vec<Malformed>,
}

impl Log {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read(path)?))
    }

    /// Reads the bytes of a log.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut log = Self::default();
        let mut may_be_header = true;
        for (index, raw) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let text = String::from_utf8_lossy(raw);
            let columns: Vec<&str> = text.split_ascii_whitespace().collect();
            if columns.is_empty() || (may_be_header && is_header(&columns)) {
                may_be_header &= columns.is_empty();
                continue;
            }
            may_be_header = false;
            log.add(index + 1, &columns);
        }
        // Customers bought day by day; the file is sorted by customer.
        log.orders.sort_by(|a, b| a.date.cmp(&b.date));
        log
    }

    fn add(&mut self, line: usize, columns: &[&str]) {
        match order(line, columns) {
            Ok(order) => self.orders.push(order),
            Err(why) => self.malformed.push(Malformed { line, why }),
        }
    }

    /// Value of all orders.
    pub(crate) fn cents(&self) -> u64 {
        self.orders.iter().map(|order| order.cents).sum()
    }

    /// Number of distinct customers.
    pub(crate) fn customers(&self) -> usize {
        let names: BTreeSet<&str> = self.orders.iter().map(|o| o.customer.as_str()).collect();
        names.len()
    }
}

/// A header names its columns: none of them is a number.
fn is_header(columns: &[&str]) -> bool {
    columns.iter().all(|column| !column.starts_with(|c: char| c.is_ascii_digit()))
}

fn order(line: usize, columns: &[&str]) -> Result<Order, String> {
    let ([customer, _, date, cds, value] | [customer, date, cds, value]) = columns else {
        return Err(format!("expected 4 or 5 columns, found {}", columns.len()));
    };
    if !customer.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("customer `{customer}` is not a number"));
    }
    Ok(Order {
        id: format!("order-{line:06}"),
        customer: (*customer).to_owned(),
        date: day(date)?,
        cds: cds.parse().map_err(|_| format!("number of CDs `{cds}` is not a whole number"))?,
        cents: cents(value)?,
    })
}

fn day(text: &str) -> Result<String, String> {
    let wrong = || format!("date `{text}` is not a day written YYYYMMDD");
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u32 = text.parse().map_err(|_| wrong())?;
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    if (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day) {
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Dollars with at most two decimals, as cents; digits only, so nothing is rounded.
fn cents(text: &str) -> Result<u64, String> {
    let wrong = || format!("value `{text}` is not an amount in dollars and cents");
    let (dollars, fraction) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(dollars) || !digits(fraction) || fraction.len() > 2 {
        return Err(wrong());
    }
    let tens = if fraction.len() == 1 { 10 } else { 1 };
    let dollars: u64 = dollars.parse().map_err(|_| wrong())?;
    let fraction: u64 = fraction.parse().map_err(|_| wrong())?;
    dollars
        .checked_mul(100)
        .and_then(|cents| cents.checked_add(fraction * tens))
        .filter(|&cents| cents <= LARGEST)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = include_bytes!("data/CDNOW_sample.txt");

    #[test]
    fn the_sample_has_its_known_totals() {
        let log = Log::parse(SAMPLE);
        assert_eq!(log.malformed, []);
        assert_eq!(log.orders.len(), 6_919);
        assert_eq!(log.customers(), 2_357);
        assert_eq!(log.cents(), 24_409_194);
        assert_eq!(log.orders.iter().filter(|o| o.cents == 0).count(), 8);
        let ids: BTreeSet<&str> = log.orders.iter().map(|o| o.id.as_str()).collect();
        assert_eq!(ids.len(), 6_919);
        assert!(log.orders.is_sorted_by_key(|order| &order.date));
    }

    #[test]
    fn the_sample_rewritten_in_four_columns_reads_the_same() {
        let mut text = "customer_id date number_of_cds dollar_value\n".to_owned();
        for line in String::from_utf8_lossy(SAMPLE).lines() {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            text += &[columns[0], columns[2], columns[3], columns[4]].join(" ");
            text += "\n";
        }
        let (five, four) = (Log::parse(SAMPLE), Log::parse(text.as_bytes()));
        assert_eq!(four.malformed, []);
        assert_eq!(four.cents(), five.cents());
        assert_eq!(four.customers(), five.customers());
        let without_line = |log: &Log| -> Vec<(String, String, u32, u64)> {
            let parts = |o: &Order| (o.customer.clone(), o.date.clone(), o.cds, o.cents);
            log.orders.iter().map(parts).collect()
        };
        assert_eq!(without_line(&four), without_line(&five));
    }

    #[test]
    fn a_malformed_line_is_named_and_the_rest_is_read() {
        let log = Log::parse(
            b"id date cds value\r\n\
              00004 19970101 2 29.33\r\n\
              00004 19970101 2\r\n\
              00004 19970230 2 1.00\r\n\
              \r\n\
              00005 19970102 x 1.00\r\n\
              00006 19970102 1 1.005\r\n\
              \xff\xfe 19970102 1 1.00\r\n\
              id date cds value\r\n\
              00007 0003 19960229 1 0.00",
        );
        let lines: Vec<usize> = log.malformed.iter().map(|m| m.line).collect();
        assert_eq!(lines, [3, 4, 6, 7, 8, 9]);
        assert_eq!(log.malformed[0].to_string(), "line 3: expected 4 or 5 columns, found 3");
        let ids: Vec<&str> = log.orders.iter().map(|o| o.id.as_str()).collect();
        assert_eq!(ids, ["order-000010", "order-000002"], "oldest day first");
        assert_eq!(log.cents(), 2_933);
    }

    #[test]
    fn amounts_are_exact() {
        for (text, expected) in [("0.29", 29), ("1.1", 110), ("12", 1_200), ("0.00", 0)] {
            assert_eq!(cents(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            ".5",
            "1.",
            "-1.00",
            "+1.00",
            "1e3",
            "1.2.3",
            "10000000000.01",
            "99999999999999999999",
        ] {
            assert!(cents(text).is_err(), "{text}");
        }
    }
}
