//! The polyfn server.
