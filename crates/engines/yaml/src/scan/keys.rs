//! Tokens that may turn out to be keys.

use super::{Mark, Outcome, Scanner};

/// Most characters between the start of a key and its `:`.
const SIMPLE_KEY_CHARS: usize = 1024;

/// Where one level of flow nesting keeps its possible key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) key: Option<PossibleKey>,
    /// Number of the token that was last a possible key here; at first that of the opening bracket.
    pub(super) token: usize,
}

/// A token that is a key if a `:` follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct PossibleKey {
    /// A block mapping can only go on with a key here.
    pub(super) required: bool,
    pub(super) token: usize,
    pub(super) mark: Mark,
    /// The token waits in the queue for the `:`.
    pub(super) held: bool,
}

impl Scanner<'_> {
    /// Tells whether the first token of the queue may yet get a key token before it.
    pub(super) fn head_may_follow_key(&mut self) -> Outcome<bool> {
        while let Some(&(token, slot)) = self.key_slots.front() {
            match self.keys.get(slot).and_then(|slot| slot.key) {
                Some(key) if key.token == token && key.held && token >= self.taken => {
                    return if token == self.taken {
                        self.is_valid(slot, key)
                    } else {
                        Ok(false)
                    };
                }
                _ => self.key_slots.pop_front(),
            };
        }
        Ok(false)
    }

    /// Tells whether a `:` here can still belong to the key; forgets the key otherwise.
    pub(super) fn is_valid(&mut self, slot: usize, key: PossibleKey) -> Outcome<bool> {
        let mark = self.cursor.mark;
        let is_near = key.mark.column() + SIMPLE_KEY_CHARS >= mark.column();
        if key.mark.line() == mark.line() && is_near {
            return Ok(true);
        }
        self.keys[slot].key = None;
        if key.required {
            return self.fault("could not find expected ':'", key.mark);
        }
        Ok(false)
    }

    /// Notes that what begins here may be a key.
    pub(super) fn may_be_key(&mut self) -> Outcome {
        if !self.key_allowed {
            return Ok(());
        }
        self.forget_key()?;
        let required = !self.in_flow() && self.indent == self.column();
        let token = self.taken + self.queue.len();
        let key = PossibleKey {
            required,
            token,
            mark: self.cursor.mark,
            held: true,
        };
        self.key_slots.push_back((token, self.keys.len() - 1));
        if let Some(slot) = self.keys.last_mut() {
            *slot = Slot {
                key: Some(key),
                token,
            };
        }
        Ok(())
    }

    pub(super) fn forget_key(&mut self) -> Outcome {
        match self.keys.last_mut().and_then(|slot| slot.key.take()) {
            Some(key) if key.required => self.fault("could not find expected ':'", key.mark),
            _ => Ok(()),
        }
    }
}
