//! The same commands against every line of TrueNAS that the simulator knows.

use tnvm_suite::Lab;

const LINES: [&str; 5] = ["25.04.2", "25.10.0", "25.10", "26.0.0-BETA.3", "26"];

#[test]
fn on_every_line_a_group_is_made_found_complete_and_removed() {
    for line in LINES {
        let lab = Lab::on(line.parse().unwrap(), |world| world);
        let before = lab.view();
        let ran = lab.example().tnvm(&["create"]);
        assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
        assert_eq!(lab.view().vms.len(), 4, "{line}");
        lab.settled(&[]);
        let ran = lab.tnvm(&["destroy", "--yes"]);
        assert_eq!(ran.code, 0, "{line}: {}", ran.shown());
        assert_eq!(lab.view(), before, "{line}");
    }
}
