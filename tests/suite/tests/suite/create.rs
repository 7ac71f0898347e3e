//! x
use tnvm_suite::Lab;

#[test]
fn show() {
    let lab = Lab::new();
    lab.example();
    println!("{}", lab.tnvm(&["create", "-o", "json"]).shown());
    println!("{:?}", lab.view().vms["worker01"]);
    println!("{}", lab.tnvm(&["create"]).shown());
    println!("{}", lab.tnvm(&["list"]).shown());
    println!("{}", lab.tnvm(&["destroy"]).shown());
    println!("{}", lab.tnvm(&["destroy", "--yes"]).shown());
    lab.inject(tnvm_simulator::Fault::fail("vm.start", 14, "no luck"));
    println!("{}", lab.tnvm(&["create", "-o", "json"]).shown());
    println!("{}", lab.tnvm(&["create"]).shown());
}
