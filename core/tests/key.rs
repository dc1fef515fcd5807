//! Keys cannot be forged by the text put into them.

use mainstay_core::{IntoKey, Key, KeyError, key};
use proptest::prelude::*;

#[test]
fn a_path_written_by_the_developer_keeps_its_separators() {
    let key = Key::new("bank:pay").expect("a key");
    assert_eq!(key.parts().collect::<Vec<_>>(), ["bank", "pay"]);
}

#[test]
fn a_value_cannot_add_a_part_or_open_a_hash_tag() {
    let key = key!("order:{}", "}x:{y}%\n").expect("a key");
    assert_eq!(key.as_str(), "order:%7Dx%3A%7By%7D%25%0A");
    assert_eq!(key.slotted("q"), "{order:%7Dx%3A%7By%7D%25%0A}:q");
}

#[test]
fn empty_parts_and_values_are_refused() {
    for bad in ["", ":a", "a:", "a::b"] {
        assert!(matches!(Key::new(bad), Err(KeyError::EmptyPart { .. })), "{bad:?}");
    }
    // The part is not empty, but a hole filled with nothing is a mistake all the same.
    assert!(matches!(key!("order-{}", ""), Err(KeyError::EmptyPart { .. })));
    assert!(matches!(key!("order:{}"), Err(KeyError::EmptyPart { .. })));
    assert!(matches!(Key::from_parts::<&str>([]), Err(KeyError::EmptyPart { .. })));
}

#[test]
fn the_length_is_capped_after_escaping() {
    assert!(Key::new(&"a".repeat(Key::MAX_BYTES)).is_ok());
    let error = key!("{}", "{".repeat(Key::MAX_BYTES / 3 + 1)).expect_err("too long");
    assert!(matches!(error, KeyError::TooLong { bytes: 258, .. }), "{error}");
}

#[test]
fn prefixes_are_the_scopes_of_a_path() {
    let key = Key::new("bank:pay:eur").expect("a key");
    let prefixes: Vec<_> = key.prefixes().map(|k| k.to_string()).collect();
    assert_eq!(prefixes, ["bank", "bank:pay", "bank:pay:eur"]);
}

#[test]
fn buckets_do_not_move_between_versions() {
    let buckets = 64.try_into().expect("not zero");
    let of = |text: &str| Key::new(text).expect("a key").bucket(buckets);
    // FNV-1a 64 of "a" is 0xaf63dc4c8601ec8c, of "foobar" 0x85944171f73967e8.
    assert_eq!((of("a"), of("foobar")), (0xec8c % 64, 0x67e8 % 64));
}

#[test]
fn every_form_names_the_same_key() {
    let key = Key::new("a:b").expect("a key");
    let forms = [
        (&key).into_key(),
        "a:b".into_key(),
        String::from("a:b").into_key(),
        key!("a:{}", "b").into_key(),
    ];
    assert!(forms.into_iter().all(|form| form.as_ref() == Ok(&key)));
}

#[test]
fn only_the_text_of_a_key_is_read_back() {
    for forged in ["{a}", "a%", "a%2", "a%zz", "a%7b", "a%41", "a\n"] {
        assert!(forged.parse::<Key>().is_err(), "{forged:?}");
    }
    let key = key!("a:{}", "%:").expect("a key");
    let json = serde_json::to_string(&key).expect("serialises");
    assert_eq!(serde_json::from_str::<Key>(&json).expect("reads back"), key);
}

proptest! {
    #[test]
    fn different_parts_give_different_keys(a in parts(), b in parts()) {
        let (x, y) = (Key::from_parts(&a), Key::from_parts(&b));
        if let (Ok(x), Ok(y)) = (x, y) {
            prop_assert_eq!(x == y, a == b);
        }
    }

    #[test]
    fn a_key_has_as_many_parts_as_it_was_given_and_survives_a_round_trip(a in parts()) {
        if let Ok(key) = Key::from_parts(&a) {
            prop_assert_eq!(key.parts().count(), a.len());
            let braces = key.as_str().contains(['{', '}']);
            prop_assert!(!braces);
            let again: Key = key.as_str().parse().expect("its own text");
            prop_assert_eq!(again, key);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[\\x00-\\x1f{}:%]{0,20}") {
        let _ = Key::new(&text);
        let _ = text.parse::<Key>();
        let _ = key!("a:{}", text);
    }
}

fn parts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab:%{}\u{e9}\n]{1,3}", 1..4)
}
