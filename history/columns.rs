//! Columns of numbers in few bytes: the distance to the least of them, or to the one before, in 0, 1, 2, 4 or 8 bytes.
//!
//! ```text
//!   7000 7003 7001 7009      least 7000, one byte each:    0 3 1 9
//!   10 20 30 40 50           from one to the next, all 10: no byte each
//! ```

/// Appends a column; how many numbers it has must be known to whoever reads it.
pub(crate) fn put(column: impl Iterator<Item = i64> + Clone, out: &mut Vec<u8>) {
    let steps = steps(column.clone());
    let plain = Range::of(column.clone());
    let stepped = Range::of(steps.clone());
    if stepped.width() < plain.width() {
        out.push(8 | stepped.width());
        stepped.put(steps, out);
    } else {
        out.push(plain.width());
        plain.put(column, out);
    }
}

/// What is added from each to the next; the first is added to zero.
fn steps(column: impl Iterator<Item = i64> + Clone) -> impl Iterator<Item = i64> + Clone {
    column.scan(0_i64, |before, number| {
        let step = number.wrapping_sub(*before);
        *before = number;
        Some(step)
    })
}

struct Range {
    least: i64,
    most: i64,
}

impl Range {
    fn of(column: impl Iterator<Item = i64>) -> Range {
        let ends = column.fold(None, |ends, number| match ends {
            None => Some((number, number)),
            Some((least, most)) => Some((number.min(least), number.max(most))),
        });
        let (least, most) = ends.unwrap_or((0, 0));
        Range { least, most }
    }

    /// The logarithm of the bytes for each number, from 1; 0 if none are needed.
    fn width(&self) -> u8 {
        match self.most.wrapping_sub(self.least) as u64 {
            0 => 0,
            1..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 3,
            _ => 4,
        }
    }

    fn put(&self, column: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.least.to_le_bytes());
        let above = column.map(|number| number.wrapping_sub(self.least) as u64);
        match self.width() {
            0 => {}
            1 => out.extend(above.map(|number| number as u8)),
            2 => above.for_each(|number| out.extend_from_slice(&(number as u16).to_le_bytes())),
            3 => above.for_each(|number| out.extend_from_slice(&(number as u32).to_le_bytes())),
            _ => above.for_each(|number| out.extend_from_slice(&number.to_le_bytes())),
        }
    }
}

/// Reads the column that `bytes` begins with, a number for each of `items`, and goes past it. Nothing if it is not all
/// there, or is no column.
#[inline(always)]
pub(crate) fn take<T>(bytes: &mut &[u8], items: &mut [T], mut set: impl FnMut(&mut T, i64)) -> Option<()> {
    let (&form, rest) = bytes.split_first()?;
    let (least, rest) = rest.split_first_chunk::<8>()?;
    let least = i64::from_le_bytes(*least);
    let width = match form & 7 {
        0 => 0,
        log @ 1..=4 => 1_usize << (log - 1),
        5.. => return None,
    };
    let (packed, rest) = rest.split_at_checked(width.checked_mul(items.len())?)?;
    *bytes = rest;
    let mut before = 0_i64;
    match form & !7 {
        0 => spread(packed, width, items, |item, above| set(item, least.wrapping_add(above as i64))),
        8 => spread(packed, width, items, |item, above| {
            before = before.wrapping_add(least).wrapping_add(above as i64);
            set(item, before);
        }),
        _ => return None,
    }
    Some(())
}

#[inline(always)]
fn spread<T>(packed: &[u8], width: usize, items: &mut [T], mut set: impl FnMut(&mut T, u64)) {
    match width {
        0 => items.iter_mut().for_each(|item| set(item, 0)),
        1 => items.iter_mut().zip(packed).for_each(|(item, byte)| set(item, u64::from(*byte))),
        2 => chunks(packed, items, |item, chunk| set(item, u64::from(u16::from_le_bytes(chunk)))),
        4 => chunks(packed, items, |item, chunk| set(item, u64::from(u32::from_le_bytes(chunk)))),
        _ => chunks(packed, items, |item, chunk| set(item, u64::from_le_bytes(chunk))),
    }
}

#[inline(always)]
fn chunks<const N: usize, T>(packed: &[u8], items: &mut [T], mut set: impl FnMut(&mut T, [u8; N])) {
    for (item, chunk) in items.iter_mut().zip(packed.chunks_exact(N)) {
        set(item, *chunk.first_chunk().expect("chunks have N bytes"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quick::tests::Dice;

    #[test]
    fn a_column_reads_as_it_was_written_whatever_its_numbers() {
        let mut dice = Dice(3);
        for round in 0..2000 {
            let (base, spread) = (dice.below(u64::MAX) as i64, 1 << dice.below(63));
            let mut number = base;
            let column: Vec<i64> = (0..dice.below(50))
                .map(|_| {
                    number = match round % 4 {
                        0 => base.wrapping_add(dice.below(spread) as i64),
                        1 => number.wrapping_add(dice.below(spread) as i64),
                        2 => number.wrapping_add(7),
                        _ => *dice.pick(&[i64::MIN, i64::MAX, 0, -1]),
                    };
                    number
                })
                .collect();
            let mut bytes = Vec::new();
            put(column.iter().copied(), &mut bytes);
            bytes.push(42);
            let mut rest = &bytes[..];
            let mut read = vec![0; column.len()];
            take(&mut rest, &mut read, |item, number| *item = number).expect("a column");
            assert_eq!((read, rest), (column.clone(), &[42][..]));
            for cut in 0..bytes.len() - 1 {
                let mut read = vec![0; column.len()];
                assert!(take(&mut &bytes[..cut], &mut read, |item, number| *item = number).is_none());
            }
        }
    }

    #[test]
    fn numbers_that_stay_close_take_a_byte_and_those_that_count_take_none() {
        let size = |column: Vec<i64>| {
            let mut bytes = Vec::new();
            put(column.into_iter(), &mut bytes);
            bytes.len() - 9
        };
        assert_eq!(size(vec![7_000_000, 7_000_255, 7_000_001]), 3);
        assert_eq!(size((0..100).map(|i| i * 10 + 10).collect()), 0);
        assert_eq!(size(vec![i64::MIN; 100]), 0);
    }
}
