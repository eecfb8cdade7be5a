//! A KDC without I/O for development realms.
