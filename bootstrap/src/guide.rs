//! The guides of the project, which go with the crate: there is nothing but text in here.

// What is defined first holds: on these pages the links from one guide to the other go to its page.
#[doc = "[programs.md]: crate::guide::programs"]
#[doc = ""]
#[doc = include_str!("guide/methods.md")]
pub mod methods {}

#[doc = "[methods.md]: crate::guide::methods"]
#[doc = "[codes]: crate::guide::methods#when-it-fails"]
#[doc = ""]
#[doc = include_str!("guide/programs.md")]
pub mod programs {}
