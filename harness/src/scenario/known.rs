//! What other mail systems are known to do differently: a result of the comparison, and no fault that a change of ours could mend.

use crate::topology::SystemKind;

/// A scenario that does not hold for a system, as it is shipped.
struct Difference {
    system: SystemKind,
    scenario: &'static str,
    /// The failure says so; any other failure of the scenario stays one.
    says: &'static str,
    why: &'static str,
}

const KNOWN: &[Difference] = &[
    Difference {
        system: SystemKind::Postfix,
        scenario: "stopped_in_order_and_started_under_load",
        says: "left without a reply by a stop in order",
        why: "Postfix drops its sessions when it is stopped: a client may be left without the reply to its message, and sends it again",
    },
    Difference {
        system: SystemKind::Postfix,
        scenario: "five_hundred_clients_send_an_octet_a_second",
        says: "a client was not greeted",
        why: "Postfix as shipped serves 100 sessions at one time (default_process_limit), and greets nobody else until one of them ends",
    },
    Difference {
        system: SystemKind::Postfix,
        scenario: "name_server_lies_and_mail_waits",
        says: "`deferred` on office",
        why: "Postfix as shipped returns mail whose only mail host does not exist (smtp_defer_if_no_mx_address_found = no)",
    },
];

/// Why this failure is known of this system; `None` where it is not.
pub(super) fn difference(system: SystemKind, scenario: &str, failure: &str) -> Option<&'static str> {
    let of_it = |known: &&Difference| known.system == system && known.scenario == scenario && failure.contains(known.says);
    KNOWN.iter().find(of_it).map(|known| known.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_of_a_scenario_that_judges_the_system_and_of_no_other_failure() {
        for known in KNOWN {
            let scenario = super::super::all().find(|scenario| scenario.name == known.scenario).unwrap();
            assert!(scenario.systems.contains(&known.system), "{}", known.scenario);
            assert!(difference(known.system, known.scenario, known.says).is_some());
            assert_eq!(difference(known.system, known.scenario, "the books do not balance"), None);
            assert_eq!(difference(SystemKind::Bongsu, known.scenario, known.says), None);
        }
    }
}
