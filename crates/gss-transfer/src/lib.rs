//! Policy and sealed envelope of exported security contexts.
