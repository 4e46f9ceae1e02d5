//! Bodies and streams against cassettes: what we send, what comes back, and what errors mean.

mod answers;
mod requests;
