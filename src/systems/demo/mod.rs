//! The built-in specimens.

/// The main function of a node's process.
pub fn node_main(_args: &[String]) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
