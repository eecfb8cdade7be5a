mod advisories;
mod downgrade;
mod fake;
mod messages;
mod transcripts;
mod unexpected;
