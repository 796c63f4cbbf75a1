//! The store: one suite that every database has to pass, and what only files can suffer from.

pub mod calls;
pub mod deliveries;
pub mod extractions;
mod faults;
pub mod ground;
pub mod overview;
pub mod pace;
mod restart;
pub mod talk;

use std::pin::Pin;

use ground::Ground;

/// One sentence about stores.
pub type Case = fn(Ground) -> Pin<Box<dyn Future<Output = ()>>>;

/// Names cases, and runs each on SQLite as a test of its own; other databases run [`CASES`] of the module.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        /// Every case of this file, with its name.
        pub const CASES: &[(&str, $crate::store::Case)] =
            &[$((stringify!($name), |ground| Box::pin($name(ground)))),+];

        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name($crate::store::ground::Ground::sqlite(stringify!($name))).await;
                }
            )+
        }
    };
}
pub(crate) use cases;
