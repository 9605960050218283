//! The session's own wiring in virtual time: scripted models with a cost, a seeded network, one machine for all sessions.

mod answers;
mod asking;
mod hours;
mod house;
mod microphone;
mod promises;
mod view;

mod overload;
