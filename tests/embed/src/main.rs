//! Starts the payload that it carries, and prints what a call of it returned.

use offshoot_parent::prelude::*;

const LENGTH: Function<String, u64> = Function::new("length");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let set = offshoot_parent::embed!("smallest")?;
    for entry in set.entries() {
        eprintln!("{} {:?} {} bytes", entry.machine(), entry.role(), entry.size());
    }
    let router = Router::new()?;
    let child = router.connect(Local::new(set.into()))?;
    println!("{}", child.call(LENGTH, "hello".to_owned())?);
    Ok(())
}
