//! Where runs live on disk.
