//! What came of the messages of an at-least-once queue, in a sentence.

use crate::text::{count, many};
use history::results::Delivery;

/// Losses first, then what was allowed and happened, then how sure that is.
pub fn sentence(d: &Delivery) -> String {
    let mut said = Vec::new();
    let all = match (d.missing, d.waiting) {
        (0, 0) if d.confirmed > 0 => ", all of which came",
        _ => "",
    };
    said.push(format!("{} confirmed{all}", many(d.confirmed, "message")));
    let mut tell = |n: u64, what: &str| {
        if n > 0 {
            said.push(format!("{} {what}", count(n)));
        }
    };
    tell(d.missing, "confirmed and gone: a later drain did not return them");
    tell(d.waiting, "confirmed and not seen, with no drain after them: nothing can be said of these");
    tell(d.unanswered, "sent without an answer: they may come, or not");
    tell(d.unsent, "delivered although nobody had sent them");
    said.push(match d.duplicates {
        0 => format!("no duplicates among {}", many(d.deliveries, "delivery")),
        n => format!(
            "{} among {}, of {}",
            many(n, "duplicate"),
            many(d.deliveries, "delivery"),
            many(d.repeated, "message")
        ),
    });
    said.push(match d.reordered {
        0 => "no message came after one that was sent later".to_string(),
        n => format!("{} came after one that was sent later", many(n, "message")),
    });
    if d.unheard > 0 {
        said.push(format!("{} got no answer and may have taken messages along", many(d.unheard, "taking")));
    }
    said.push(match d.emptied {
        n if n == d.keys && n > 0 => "two empty drains at the end".to_string(),
        n => format!(
            "two empty drains at the end of {} of {}: only these are known to be empty",
            count(n),
            many(d.keys, "queue")
        ),
    });
    format!("at least once: {}", said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_other_orders_are_told_as_what_they_are() {
        let all = Delivery {
            keys: 1,
            confirmed: 3,
            deliveries: 5,
            duplicates: 2,
            repeated: 1,
            reordered: 1,
            ..Delivery::default()
        };
        assert_eq!(
            sentence(&Delivery { emptied: 1, ..all.clone() }).replace('\u{a0}', " "),
            "at least once: 3 messages confirmed, all of which came; 2 duplicates among 5 deliveries, of 1 message; \
             1 message came after one that was sent later; two empty drains at the end"
        );
        let gone = sentence(&Delivery { missing: 1, waiting: 1, unheard: 1, ..all }).replace('\u{a0}', " ");
        assert!(gone.contains("1 confirmed and gone: a later drain did not return them"), "{gone}");
        assert!(gone.contains("1 taking got no answer"), "{gone}");
        assert!(gone.contains("two empty drains at the end of 0 of 1 queue"), "{gone}");
    }
}
