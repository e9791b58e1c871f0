//! End-to-end tests: what needs more than one controller. The tests are in `tests/`.
