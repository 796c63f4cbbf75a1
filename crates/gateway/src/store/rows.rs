//! Words for statements over many rows: one round trip to the database for what a batch has of a kind.

/// `rows` in pieces whose lengths are powers of two: so the database prepares few different statements.
pub(super) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let longest = rows.len().min(PIECE_ROWS_MAX);
        let length = 1 << longest.checked_ilog2()?;
        let (piece, rest) = rows.split_at_checked(length)?;
        rows = rest;
        Some(piece)
    })
}

/// The places of values for `rows` rows of `columns` columns, `($1, $2), ($3, $4)`, beginning at `$first`.
pub(super) fn tuples(rows: usize, columns: usize, first: usize) -> String {
    let row = |at: usize| format!("({})", list(columns, first + at * columns));
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The places of `count` values, `$1, $2, $3`, beginning at `$first`.
pub(super) fn list(count: usize, first: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// Rows of one statement.
pub const PIECE_ROWS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_in_pieces_of_few_lengths_and_none_is_left() {
        let lengths = |count: usize| pieces(&vec![0; count]).map(<[_]>::len).collect::<Vec<_>>();
        assert!(lengths(0).is_empty());
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(7), [4, 2, 1]);
        assert_eq!(lengths(150), [64, 64, 16, 4, 2]);
    }

    #[test]
    fn places_are_numbered_on_and_on() {
        assert_eq!(tuples(2, 3, 1), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(list(2, 5), "$5, $6");
    }
}
