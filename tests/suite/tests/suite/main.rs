//! All end-to-end tests, in one program to be linked once.

mod create;
