//! Gives the program its framework's version, as Cargo resolved it.

fn main() {
    let framework = "krafka";
    let lock = std::fs::read_to_string("Cargo.lock").unwrap();
    let package = lock.split("[[package]]").find(|one| one.contains(&format!("name = \"{framework}\"\n"))).unwrap();
    let version = package.split("version = \"").nth(1).unwrap().split('"').next().unwrap();
    println!("cargo::rustc-env=FRAMEWORK_VERSION={version}");
}
