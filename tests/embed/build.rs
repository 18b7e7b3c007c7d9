//! Builds the payload, while the cargo that builds this package holds its own lock.

use offshoot_bootstrap::Recipe;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    Recipe::example("../../core", "smallest").embed()?;
    Ok(())
}
