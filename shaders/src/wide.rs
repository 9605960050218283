//! Registers as wide as the processor has them.

use pulp::{Arch, NullaryFnOnce};

/// Does something as compiled for the widest registers that this processor has: what is inlined into its `call`, that is,
/// which is to be inlined itself. A closure never is; so work is a type of its own.
#[inline(always)]
pub(crate) fn wide<Work: NullaryFnOnce>(work: Work) -> Work::Output {
    Arch::new().dispatch(work)
}
