//! What was done to a clock, from the words of its fault.

/// What was done to a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bend {
    /// So many seconds off.
    Off(f64),
    /// So many seconds off, and back, every so many seconds.
    Strobe(f64, f64),
    /// At so many times its speed.
    Speed(f64),
}

impl Bend {
    /// The node and its bend: of `n2 +30 s`, `n3 +1 s and back every 495 ms`, `n1 runs at 0.5 of its speed`. `None` for
    /// anything else.
    pub fn parse(what: &str) -> Option<(&str, Bend)> {
        let (node, rest) = what.split_once(' ')?;
        if let Some(speed) = rest.strip_prefix("runs at ") {
            return Some((node, Bend::Speed(speed.split(' ').next()?.parse().ok()?)));
        }
        let off = time(rest)?;
        match rest.split_once(" every ") {
            Some((_, every)) => Some((node, Bend::Strobe(off, time(every)?.max(1e-3)))),
            None => Some((node, Bend::Off(off))),
        }
    }
}

fn time(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let number: f64 = words.next()?.parse().ok()?;
    let unit = match words.next()? {
        "s" => 1.0,
        "ms" => 1e-3,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    number.is_finite().then_some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_nemesis_writes_is_understood_and_nothing_else() {
        assert_eq!(Bend::parse("n2 +30 s"), Some(("n2", Bend::Off(30.0))));
        assert_eq!(Bend::parse("n2 -250 ms"), Some(("n2", Bend::Off(-0.25))));
        assert_eq!(Bend::parse("n3 +1 s and back every 495 ms"), Some(("n3", Bend::Strobe(1.0, 0.495))));
        assert_eq!(Bend::parse("n1 runs at 0.5 of its speed"), Some(("n1", Bend::Speed(0.5))));
        for odd in ["", "n1", "n1 +x s", "n1 +1 parsec", "n1 +inf s"] {
            assert_eq!(Bend::parse(odd), None, "{odd}");
        }
    }
}
