//! A function that contexts call by name, with the types of its argument and its result.

use std::{fmt, marker::PhantomData};

/// The name of a function that a context serves, and the types of its argument and result.
///
/// Both programs are compiled against the same constant, so that a wrong type does not compile. The argument is
/// `()`, one type, a tuple for a few, or a struct of your own; the result is any [`Message`](crate::Message).
///
/// ```
/// use offshoot_core::Function;
///
/// pub const DISK_FREE: Function<String, u64> = Function::new("disk_free");
/// assert_eq!(DISK_FREE.name(), "disk_free");
/// ```
///
/// A name is 1 to 64 bytes long; anything else does not compile:
///
/// ```compile_fail
/// const NAMELESS: offshoot_core::Function<(), ()> = offshoot_core::Function::new("");
/// # NAMELESS.name();
/// ```
pub struct Function<A, R> {
    name: &'static str,
    types: PhantomData<fn(A) -> R>,
}

impl<A, R> Function<A, R> {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 64;

    /// The function of this name.
    ///
    /// # Panics
    /// If the name is empty or longer than [`MAX_NAME`](Self::MAX_NAME) bytes; in a constant that is an error of
    /// the compiler.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(
            !name.is_empty() && name.len() <= Self::MAX_NAME,
            "the name of a function is 1 to 64 bytes long"
        );
        Self { name, types: PhantomData }
    }

    /// Its name, as it travels in calls.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<A, R> Clone for Function<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Function<A, R> {}

impl<A, R> fmt::Debug for Function<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}
