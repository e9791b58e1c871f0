//! Ending a process in order: first no new runs, then the ones that go on, then events.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels the token at SIGTERM or SIGINT; a second signal ends the process at once.
///
/// # Errors
/// Signals cannot be listened to.
pub fn listen(stop: CancellationToken) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut first = true;
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if !first {
                force();
            }
            first = false;
            tracing::info!("stopping");
            stop.cancel();
        }
    });
    Ok(())
}

#[expect(clippy::exit, reason = "a second signal means now")]
fn force() {
    std::process::exit(1);
}
