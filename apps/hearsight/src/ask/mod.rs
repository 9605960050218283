//! Engines that answer questions about pictures and that only the roof can reach.
//!
//! Knows HTTP and the trait of such engines ([`hearsight_models::vlm`]). Must not know who asks. Start at [`remote`].

pub mod remote;
