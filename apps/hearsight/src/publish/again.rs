//! Which failures of a connection may pass.

use hearsight_core::time::Span;

use crate::send::DialError;

/// Whether trying again can help, and how long the server wants to be left alone.
pub(super) fn again(error: &DialError) -> Option<Option<Span>> {
    match error {
        DialError::Unreachable(_) | DialError::TimedOut(_) => Some(None),
        DialError::Refused {
            status: 408 | 425 | 429 | 500..=599,
            retry_after,
            ..
        } => Some(*retry_after),
        DialError::Address(_) | DialError::Refused { .. } | DialError::Answer(_) | DialError::Stack(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| DialError::Refused {
            status,
            detail: String::new(),
            retry_after: Some(Span::from_secs(3)),
        };
        for status in [429, 503, 500, 502] {
            assert_eq!(again(&refused(status)), Some(Some(Span::from_secs(3))), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 415, 422, 302, 200] {
            assert_eq!(again(&refused(status)), None, "{status}");
        }
        assert_eq!(again(&DialError::TimedOut("x")), Some(None));
        assert_eq!(again(&DialError::Address("x".into())), None);
    }
}
