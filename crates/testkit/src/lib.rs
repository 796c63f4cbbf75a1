//! What only the tests need.
