//! The ways to reach a node.

/// The main function of the guard, which ends a cluster's processes when its controller is gone.
pub fn guard_main(_args: &[String]) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
