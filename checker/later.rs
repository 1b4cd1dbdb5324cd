//! Gives memory back without keeping anybody waiting: a search that ended with its time has millions of small things.

/// Drops `large` on a thread of its own, or here, where there is none to be had.
pub(crate) fn drop_later<T: Send + 'static>(large: T) {
    if !cfg!(feature = "parallel") {
        return;
    }
    // If there is no thread, the closure is dropped here, with what it holds.
    let _ = std::thread::Builder::new().name("drop".to_string()).spawn(move || drop(large));
}
