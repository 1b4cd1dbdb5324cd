//! Which operations may come next: the front of each process, listed by object.

use super::Search;
use crate::model::Model;

impl<M: Model> Search<'_, M> {
    /// The operations of a process that may come next: indeterminate ones may be passed over.
    pub(super) fn front(&self, process: u32) -> std::ops::Range<u32> {
        let (from, end) = (self.at[process as usize], self.body_end[process as usize]);
        let completed = (from..end).find(|&i| !self.chains.ops[i as usize].maybe);
        from..completed.map_or(end, |i| i + 1)
    }

    /// Lists them under their objects.
    pub(super) fn expose(&mut self, process: u32) {
        for i in self.front(process) {
            let list = &mut self.exposed[self.chains.ops[i as usize].object as usize];
            self.slot[i as usize] = list.len() as u32;
            list.push(i);
        }
    }

    /// Takes them off the lists again.
    pub(super) fn hide(&mut self, process: u32) {
        for i in self.front(process) {
            let list = &mut self.exposed[self.chains.ops[i as usize].object as usize];
            let slot = self.slot[i as usize] as usize;
            list.swap_remove(slot);
            if let Some(&moved) = list.get(slot) {
                self.slot[moved as usize] = slot as u32;
            }
        }
    }
}
