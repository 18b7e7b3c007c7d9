//! Starts the payload that it carries, and those in the folders that it is given, and prints what a call returned.

use offshoot_parent::prelude::*;

const LENGTH: Function<String, u64> = Function::new("length");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new()?;
    let embedded = offshoot_parent::embed!("smallest");
    for set in [embedded].into_iter().chain(std::env::args().skip(1).map(PayloadSet::load)) {
        let set = set?;
        let name = set.to_string();
        let child = router.connect(Local::new(set.into()))?;
        println!("{name}: {}", child.call(LENGTH, "hello".to_owned())?);
    }
    Ok(())
}
