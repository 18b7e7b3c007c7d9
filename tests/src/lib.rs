//! Harness of the workspace-level tests.
