//! What a simulated disk holds when it is next started.

use super::world::{Edit, FileNode, Node, World};

/// A small generator: the same seed gives the same crash. No secret hangs on it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }
}

/// How much of what was not synced survives.
enum Luck {
    Nothing,
    Everything,
    Some(Dice),
}

impl World {
    /// The same disk with nobody alive.
    pub(crate) fn after_kill(&self) -> World {
        let mut next = self.restarted();
        next.nodes = self.nodes.clone();
        next.moves = self.moves.clone();
        next
    }

    pub(crate) fn after_power_cut(&self, seed: u64) -> World {
        let mut luck = match seed {
            0 => Luck::Nothing,
            1 => Luck::Everything,
            seed => Luck::Some(Dice(seed)),
        };
        let mut next = self.restarted();
        next.nodes = self.nodes.clone();
        let moves = self.moves.iter().filter(|_| luck.keeps()).cloned().collect::<Vec<_>>();
        next.apply_moves(moves);
        for node in next.nodes.values_mut() {
            match node {
                Node::Dir { now, durable } => *now = durable.clone(),
                Node::File(file) => luck.settle(file),
            }
        }
        next.count_links();
        next
    }

    /// An empty world with this one's nature, where nothing was called and nothing fails yet.
    fn restarted(&self) -> World {
        World {
            next: self.next,
            skipped: self.skipped.clone(),
            names_follow: self.names_follow,
            syncs_all: self.syncs_all,
            capacity: self.capacity,
            ..World::new()
        }
    }

    /// Files that no surviving directory names are gone; the others have as many links as names.
    fn count_links(&mut self) {
        let names: Vec<u64> = (self.nodes.values())
            .flat_map(|node| if let Node::Dir { now, .. } = node { now.values().copied().collect() } else { Vec::new() })
            .collect();
        self.nodes.retain(|inode, node| match node {
            Node::Dir { .. } => true,
            Node::File(file) => {
                file.links = names.iter().filter(|name| *name == inode).count() as u64;
                file.links > 0
            }
        });
        let alive: Vec<u64> = self.nodes.keys().copied().collect();
        for node in self.nodes.values_mut() {
            if let Node::Dir { now, durable } = node {
                now.retain(|_, inode| alive.contains(inode));
                durable.clone_from(now);
            }
        }
    }
}

impl Luck {
    fn keeps(&mut self) -> bool {
        match self {
            Luck::Nothing => false,
            Luck::Everything => true,
            Luck::Some(dice) => dice.roll(2) == 0,
        }
    }

    /// The file as it comes back.
    fn settle(&mut self, file: &mut FileNode) {
        for edit in std::mem::take(&mut file.pending) {
            if let Some(edit) = self.part_of(edit) {
                file.apply(&edit);
            }
        }
        file.now.clone_from(&file.durable);
        file.mtime = file.durable_mtime;
    }

    /// What survives of one change: all, nothing, or a stretch of a write.
    fn part_of(&mut self, edit: Edit) -> Option<Edit> {
        let Luck::Some(dice) = self else { return self.keeps().then_some(edit) };
        match (dice.roll(4), edit) {
            (0, _) => None,
            (1, Edit::Write { at, bytes }) => {
                let len = bytes.len() as u64;
                let first = if dice.roll(2) == 0 { 0 } else { dice.roll(len) as usize };
                let last = first + dice.roll(len - first as u64 + 1) as usize;
                Some(Edit::Write { at: at + first, bytes: bytes[first..last].to_vec() })
            }
            (_, edit) => Some(edit),
        }
    }
}
