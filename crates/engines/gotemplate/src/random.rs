//! Randomness that a seed decides, so that a rendering can be repeated.

use std::cell::RefCell;

use sha2::{Digest, Sha256};

/// A stream of bytes that cannot be told from random without its seed.
#[derive(Debug)]
pub struct Random {
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    seed: [u8; 32],
    counter: u64,
    block: Vec<u8>,
}

impl Random {
    /// Makes a stream. Who wants secrets from it passes a seed from the operating system.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            state: RefCell::new(State {
                seed,
                counter: 0,
                block: Vec::new(),
            }),
        }
    }

    /// The next bytes.
    pub fn bytes(&self, count: usize) -> Vec<u8> {
        let mut state = self.state.borrow_mut();
        while state.block.len() < count {
            let digest = Sha256::new()
                .chain_update(state.seed)
                .chain_update(state.counter.to_be_bytes())
                .finalize();
            state.counter += 1;
            state.block.extend_from_slice(&digest);
        }
        state.block.drain(..count).collect()
    }

    /// A number below the bound, each equally likely. A bound of 0 gives 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Numbers from the incomplete last span would come up too often.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let mut word = [0; 8];
            word.copy_from_slice(&self.bytes(8));
            let number = u64::from_be_bytes(word);
            if number < limit {
                return number % bound;
            }
        }
    }
}
