mod advisories;
mod downgrade;
mod fake;
mod half_open;
mod messages;
mod transcripts;
mod unexpected;
