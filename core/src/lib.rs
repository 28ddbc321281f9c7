//! The polyfn core.
