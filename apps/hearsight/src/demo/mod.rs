//! The sample talk: what a person with a browser would bring, played by the program to itself, and shown in a terminal.

pub mod fake;
mod font;
pub mod scene;
