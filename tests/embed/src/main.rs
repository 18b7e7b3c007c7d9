//! Starts the payload that it carries, those in the folders that it is given, and itself by a command, and prints what a
//! call returned.

use offshoot_parent::prelude::*;

const LENGTH: Function<String, u64> = Function::new("length");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    offshoot_parent::run(Functions::new().serve(LENGTH, |_call, text| text.len() as u64), grow)
}

fn grow() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new()?;
    let embedded = offshoot_parent::embed!("smallest");
    for set in [embedded].into_iter().chain(std::env::args().skip(1).map(PayloadSet::load)) {
        let set = set?;
        let name = set.to_string();
        let child = router.connect(Local::new(set.into()))?;
        println!("{name}: {}", child.call(LENGTH, "hello".to_owned())?);
    }
    // By a way to another place: there it would be refused if it were not static.
    let itself = router.connect(Wrapped::new(["env"]))?;
    println!("itself: {}", itself.call(LENGTH, "hello".to_owned())?);
    Ok(())
}
