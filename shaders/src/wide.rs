//! Registers as wide as the processor has them.

use pulp::Arch;

/// Does something as compiled for the widest registers that this processor has: what is inlined into it, that is.
#[inline(always)]
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}
