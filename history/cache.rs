//! A history as columns of numbers, to be kept beside its file: read again, it is limited by memory, not by scanning.
//!
//! ```text
//!   magic and version
//!   block: of which content and options, how many of everything
//!   blocks: names of processes, values, acts of the nemesis and warnings
//!   blocks: operations, 4096 each, column by column
//! ```
//! Every block has its length before it and its fingerprint behind it. Whatever does not fit is damage, and no history.

use crate::columns::{put, take};
use crate::fingerprint::Fingerprint;
use crate::format::Format;
use crate::history::{FaultEvent, History, Phase, Source};
use crate::interner::{Kept, ValueId};
use crate::op::{Applied, NEVER, NO_TIME, Op, Outcome};
use crate::read::{Order, ReadOptions};
use crate::value::Value;
use std::fmt;
use std::io::{self, Read, Write};

/// Changes with everything that is written here, and with everything that readers make of a file.
const MAGIC: &[u8; 16] = b"perjury-cache-2\n";

/// Numbers in one block of a column. A block of operations stays in the nearer caches while its columns are filled in.
const ROWS: usize = 4096;

/// Why a cache gives no history.
#[derive(Debug)]
pub enum CacheError {
    /// It is of another content, of other options, or of another version.
    Stale,
    /// It is damaged.
    Damaged,
    /// It cannot be read.
    Io(io::Error),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheError::Stale => f.write_str("it is of another content, or was written by another version"),
            CacheError::Damaged => f.write_str("it is damaged"),
            CacheError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CacheError {}

impl From<io::Error> for CacheError {
    fn from(error: io::Error) -> CacheError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => CacheError::Damaged,
            _ => CacheError::Io(error),
        }
    }
}

/// Writes `history`, which was read with `options` from the content of that fingerprint. About 16 bytes for each
/// operation. A part of a history is not kept.
///
/// # Errors
/// The writer's own; of kind `Unsupported` for a part.
pub fn write_cache(
    history: &History,
    content: Fingerprint,
    options: &ReadOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let format = Format::named(history.source.format);
    let (Some(format), None, None) = (format, &history.part, options.shard) else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "only a whole history that was read is kept"));
    };
    out.write_all(MAGIC)?;
    let mut block = Vec::new();
    let (tags, others) = history.values.kept();
    let counts = [
        position(format) as u64,
        u64::from(history.ranks),
        history.ops.len() as u64,
        history.processes.len() as u64,
        tags as u64,
        others.len() as u64,
        history.faults.len() as u64,
        history.warnings.len() as u64,
        history.dues.len() as u64,
    ];
    let head = content.0.into_iter().chain([asked(options)]).chain(counts);
    head.for_each(|number| block.extend_from_slice(&number.to_le_bytes()));
    end_block(&mut block, out)?;
    for names in history.processes.chunks(ROWS) {
        put(names.iter().copied(), &mut block);
        end_block(&mut block, out)?;
    }
    for value in others {
        text(&value.to_json(), &mut block);
        // A block is as long as it must be for one value, and not much longer.
        if block.len() > 1 << 20 {
            end_block(&mut block, out)?;
        }
    }
    end_block(&mut block, out)?;
    for fault in &history.faults {
        put_fault(fault, &mut block);
        if block.len() > 1 << 20 {
            end_block(&mut block, out)?;
        }
    }
    end_block(&mut block, out)?;
    history.warnings.iter().for_each(|warning| text(warning, &mut block));
    end_block(&mut block, out)?;
    for dues in history.dues.chunks(ROWS) {
        put(dues.iter().map(|due| i64::from(due.0)), &mut block);
        put(dues.iter().map(|due| due.1), &mut block);
        end_block(&mut block, out)?;
    }
    for start in (0..tags).step_by(ROWS) {
        history.values.put(start..tags.min(start + ROWS), &mut block);
        end_block(&mut block, out)?;
    }
    for ops in history.ops.chunks(ROWS) {
        put_ops(ops, &mut block);
        end_block(&mut block, out)?;
    }
    out.flush()
}

/// Reads back what [`write_cache`] wrote for that content and these options; `name` is what the history is called.
///
/// # Errors
/// Why there is no history.
pub fn read_cache(
    name: &str,
    content: Fingerprint,
    options: &ReadOptions,
    input: &mut dyn Read,
) -> Result<History, CacheError> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(CacheError::Stale);
    }
    let mut blocks = Blocks { input, bytes: Vec::new() };
    let head = blocks.next()?;
    let head: Vec<u64> =
        head.chunks_exact(8).map(|n| u64::from_le_bytes(*n.first_chunk().expect("8"))).collect();
    let [a, b, asked_for, format, ranks, ops, processes, values, others, faults, warnings, dues] = head[..]
    else {
        return Err(CacheError::Damaged);
    };
    if Fingerprint([a, b]) != content || asked_for != asked(options) || options.shard.is_some() {
        return Err(CacheError::Stale);
    }
    // Whoever reads the file itself says how far it got.
    if options.memory.is_some_and(|memory| ops.saturating_mul(size_of::<Op>() as u64) > memory) {
        return Err(CacheError::Stale);
    }
    read_body(name, [format, ranks, ops, processes, values, others, faults, warnings, dues], &mut blocks)?
        .ok_or(CacheError::Damaged)
}

/// The rest; nothing if it does not hold together, which only damage that has a right checksum could do.
fn read_body(name: &str, head: [u64; 9], blocks: &mut Blocks<'_>) -> Result<Option<History>, CacheError> {
    let [format, ranks, ops, processes, values, others, faults, warnings, dues] = head;
    let (Some(format), Ok(ranks)) = (Format::all().get(format as usize), u32::try_from(ranks)) else {
        return Ok(None);
    };
    let mut history = History {
        source: Source { name: name.to_string(), format: format.name() },
        ranks,
        ..History::default()
    };
    for rows in chunks(processes) {
        let mut names = vec![0; rows];
        let filled = take(&mut blocks.next()?, &mut names, |name, number| *name = number);
        if filled.is_none() {
            return Ok(None);
        }
        history.processes.extend(names);
    }
    let mut strange = Vec::new();
    let read = blocks.each(others, |bytes| {
        strange.push(Value::from_json(take_text(bytes)?).ok()?);
        Some(())
    })?;
    let faults = blocks.each(faults, |bytes| {
        history.faults.push(take_fault(bytes)?);
        Some(())
    })?;
    let warned = blocks.each(warnings, |bytes| {
        history.warnings.push(take_text(bytes)?.to_string());
        Some(())
    })?;
    for rows in chunks(dues) {
        let mut bytes = blocks.next()?;
        let start = history.dues.len();
        history.dues.resize(start + rows, (0, 0));
        let fresh = &mut history.dues[start..];
        let filled = take(&mut bytes, fresh, |due, line| due.0 = line as u32)
            .and_then(|()| take(&mut bytes, fresh, |due, time| due.1 = time));
        if filled.is_none() {
            return Ok(None);
        }
    }
    let mut kept = Kept::new(strange);
    for rows in chunks(values) {
        if kept.take(&mut blocks.next()?, rows).is_none() {
            return Ok(None);
        }
    }
    let (Some(()), Some(()), Some(()), Some(values)) = (read, faults, warned, kept.finish()) else {
        return Ok(None);
    };
    history.values = values;
    // Room for all that the file can hold at least a bit of: a damaged number must not take all memory.
    history.ops.reserve(usize::try_from(ops).unwrap_or(0).min(1 << 28));
    let mut least = 0;
    for rows in chunks(ops) {
        let mut bytes = blocks.next()?;
        let start = history.ops.len();
        history.ops.resize(start + rows, EMPTY);
        let fresh = &mut history.ops[start..];
        if take_ops(&mut bytes, fresh).is_none() {
            return Ok(None);
        }
        let (values, processes) = (history.values.len() as u32, history.processes.len() as u32);
        for op in fresh {
            let ids =
                [op.f, op.key, op.input, op.output, op.error, op.node, op.observed.unwrap_or(ValueId::NULL)];
            let most = ids.iter().fold(0, |most, id| most.max(id.0));
            let ends = op.invoke < op.ret && (op.ret == NEVER || op.ret < ranks);
            let known = most < values && op.process < processes && op.invoke >= least && op.invoke < ranks;
            if !ends || !known || (op.ret == NEVER) != (op.outcome == Outcome::Info) {
                return Ok(None);
            }
            least = op.invoke + 1;
        }
    }
    Ok(Some(history))
}

/// The lengths of the blocks of a column of `count` numbers.
fn chunks(count: u64) -> impl Iterator<Item = usize> {
    let rows = ROWS as u64;
    (0..count.div_ceil(rows)).map(move |i| rows.min(count - i * rows) as usize)
}

fn position(format: Format) -> usize {
    Format::all().iter().position(|known| *known == format).expect("all are listed")
}

/// The options that change what is read.
fn asked(options: &ReadOptions) -> u64 {
    let ReadOptions { format, independent, order, allow_truncated, own, shard: _, memory: _ } = options;
    let order = match order {
        None | Some(Order::Line) => 0,
        Some(Order::Time) => 1,
    };
    let format = format.map_or(0, |format| position(format) as u64 + 1);
    format << 8
        | u64::from(*own) << 3
        | u64::from(*allow_truncated) << 2
        | order << 1
        | u64::from(*independent)
}

/// Writes the block, and begins a new one.
fn end_block(block: &mut Vec<u8>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&(block.len() as u64).to_le_bytes())?;
    out.write_all(block)?;
    for half in Fingerprint::of_bytes(block).0 {
        out.write_all(&half.to_le_bytes())?;
    }
    block.clear();
    Ok(())
}

struct Blocks<'a> {
    input: &'a mut dyn Read,
    bytes: Vec<u8>,
}

impl Blocks<'_> {
    fn next(&mut self) -> Result<&[u8], CacheError> {
        let length = self.number()?;
        self.bytes.clear();
        // What a damaged length asks for is not there to be read.
        let read = (&mut *self.input).take(length).read_to_end(&mut self.bytes)?;
        if read as u64 != length || Fingerprint::of_bytes(&self.bytes).0 != [self.number()?, self.number()?] {
            return Err(CacheError::Damaged);
        }
        Ok(&self.bytes)
    }

    fn number(&mut self) -> Result<u64, CacheError> {
        let mut number = [0; 8];
        self.input.read_exact(&mut number)?;
        Ok(u64::from_le_bytes(number))
    }

    /// Reads `count` things that fill blocks until one ends with the last of them.
    fn each(
        &mut self,
        count: u64,
        mut one: impl FnMut(&mut &[u8]) -> Option<()>,
    ) -> Result<Option<()>, CacheError> {
        let mut left = count;
        loop {
            let mut bytes = self.next()?;
            let full = bytes.len() > 1 << 20;
            while !bytes.is_empty() {
                if left == 0 || one(&mut bytes).is_none() {
                    return Ok(None);
                }
                left -= 1;
            }
            if !full {
                return Ok(if left == 0 { Some(()) } else { None });
            }
        }
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

const PHASES: [Option<Phase>; 5] =
    [None, Some(Phase::Inject), Some(Phase::Bit), Some(Phase::Heal), Some(Phase::Healed)];

fn put_fault(event: &FaultEvent, out: &mut Vec<u8>) {
    let FaultEvent { time, rank, f, fault, phase, value, line } = event;
    let phase = PHASES.iter().position(|known| known == phase).expect("all are listed");
    let fault = fault.map_or(0, |fault| u64::from(fault) + 1);
    for number in [*time as u64, u64::from(*rank), fault, phase as u64, u64::from(*line)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    text(f, out);
    text(&value.to_json(), out);
}

fn take_fault(bytes: &mut &[u8]) -> Option<FaultEvent> {
    let mut number = || take_number(bytes);
    let [time, rank, fault, phase, line] = [number()?, number()?, number()?, number()?, number()?];
    let fault = match fault.checked_sub(1) {
        Some(fault) => Some(u32::try_from(fault).ok()?),
        None => None,
    };
    Some(FaultEvent {
        time: time as i64,
        rank: u32::try_from(rank).ok()?,
        fault,
        phase: *PHASES.get(usize::try_from(phase).ok()?)?,
        line: u32::try_from(line).ok()?,
        f: take_text(bytes)?.to_string(),
        value: Value::from_json(take_text(bytes)?).ok()?,
    })
}

const EMPTY: Op = Op {
    invoke: 0,
    ret: NEVER,
    process: 0,
    f: ValueId::NULL,
    key: ValueId::NULL,
    input: ValueId::NULL,
    output: ValueId::NULL,
    outcome: Outcome::Info,
    applied: Applied::Unsaid,
    observed: None,
    error: ValueId::NULL,
    node: ValueId::NULL,
    session: 0,
    invoke_time: NO_TIME,
    ret_time: NO_TIME,
    invoke_line: 0,
    ret_line: 0,
};

/// Columns: what changes little from one operation to the next, or within one, as the difference.
fn put_ops(ops: &[Op], out: &mut Vec<u8>) {
    let mut column = |of: fn(&Op) -> i64| put(ops.iter().map(of), out);
    column(|op| i64::from(op.invoke));
    column(|op| if op.ret == NEVER { 0 } else { i64::from(op.ret) - i64::from(op.invoke) });
    column(|op| i64::from(op.process));
    column(|op| i64::from(op.f.0));
    column(|op| i64::from(op.key.0));
    column(|op| i64::from(op.input.0));
    column(|op| i64::from(op.output.0) - i64::from(op.input.0));
    column(|op| {
        let outcome = match op.outcome {
            Outcome::Ok => 0,
            Outcome::Fail => 1,
            Outcome::Info => 2,
        };
        let applied = match op.applied {
            Applied::Unsaid => 0,
            Applied::Yes => 4,
            Applied::No => 8,
        };
        outcome | applied
    });
    column(|op| op.observed.map_or(0, |id| i64::from(id.0) + 1));
    column(|op| i64::from(op.error.0));
    column(|op| i64::from(op.node.0));
    column(|op| i64::from(op.session) - i64::from(op.process));
    column(|op| op.invoke_time);
    column(|op| op.ret_time.wrapping_sub(op.invoke_time));
    column(|op| i64::from(op.invoke_line) - i64::from(op.invoke));
    column(|op| i64::from(op.ret_line) - i64::from(op.invoke_line));
}

fn take_ops(bytes: &mut &[u8], ops: &mut [Op]) -> Option<()> {
    take(bytes, ops, |op, n| op.invoke = n as u32)?;
    take(bytes, ops, |op, n| op.ret = if n == 0 { NEVER } else { op.invoke.wrapping_add(n as u32) })?;
    take(bytes, ops, |op, n| op.process = n as u32)?;
    take(bytes, ops, |op, n| op.f.0 = n as u32)?;
    take(bytes, ops, |op, n| op.key.0 = n as u32)?;
    take(bytes, ops, |op, n| op.input.0 = n as u32)?;
    take(bytes, ops, |op, n| op.output.0 = op.input.0.wrapping_add(n as u32))?;
    take(bytes, ops, |op, n| {
        op.outcome = [Outcome::Ok, Outcome::Fail, Outcome::Info, Outcome::Info][n as usize & 3];
        op.applied = [Applied::Unsaid, Applied::Yes, Applied::No, Applied::No][n as usize >> 2 & 3];
    })?;
    take(bytes, ops, |op, n| op.observed = if n == 0 { None } else { Some(ValueId((n - 1) as u32)) })?;
    take(bytes, ops, |op, n| op.error.0 = n as u32)?;
    take(bytes, ops, |op, n| op.node.0 = n as u32)?;
    take(bytes, ops, |op, n| op.session = op.process.wrapping_add(n as u32))?;
    take(bytes, ops, |op, n| op.invoke_time = n)?;
    take(bytes, ops, |op, n| op.ret_time = op.invoke_time.wrapping_add(n))?;
    take(bytes, ops, |op, n| op.invoke_line = op.invoke.wrapping_add(n as u32))?;
    take(bytes, ops, |op, n| op.ret_line = op.invoke_line.wrapping_add(n as u32))?;
    if bytes.is_empty() { Some(()) } else { None }
}
