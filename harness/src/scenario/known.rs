//! What other mail systems are known to do differently: a result of the comparison, and no fault that a change of ours could mend.

use crate::topology::SystemKind;

/// A scenario that does not hold for a system, as it is shipped.
struct Difference {
    system: SystemKind,
    scenario: &'static str,
    /// The failure says all of this; any other failure of the scenario stays one.
    says: &'static [&'static str],
    why: &'static str,
}

const KNOWN: &[Difference] = &[
    Difference {
        system: SystemKind::Postfix,
        scenario: "primary_stopped_in_order_and_started_under_load",
        says: &["lost 0 ()", "of 0 allowed", "damaged 0 ()", "refused but found 0 ()", "unknown 0"],
        why: "Postfix drops its sessions when it is stopped: a sender may be left without the reply to its message, and it arrives twice",
    },
    Difference {
        system: SystemKind::Postfix,
        scenario: "stopped_in_order_and_started_under_load",
        says: &["left without a reply by a stop in order"],
        why: "Postfix drops its sessions when it is stopped: a client may be left without the reply to its message, and sends it again",
    },
    Difference {
        system: SystemKind::Postfix,
        scenario: "five_hundred_clients_send_an_octet_a_second",
        says: &["a client was not greeted"],
        why: "Postfix as shipped serves 100 sessions at one time (default_process_limit), and greets nobody else until one of them ends",
    },
    Difference {
        system: SystemKind::Postfix,
        scenario: "name_server_lies_and_mail_waits",
        says: &["`deferred` on office"],
        why: "Postfix as shipped returns mail whose only mail host does not exist (smtp_defer_if_no_mx_address_found = no)",
    },
];

/// Why this failure is known of this system; `None` where it is not.
pub(super) fn difference(system: SystemKind, scenario: &str, failure: &str) -> Option<&'static str> {
    let of_it = |known: &&Difference| {
        known.system == system && known.scenario == scenario && known.says.iter().all(|words| failure.contains(words))
    };
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
            let says = known.says.join(", ");
            assert!(difference(known.system, known.scenario, &says).is_some());
            assert_eq!(difference(known.system, known.scenario, "the books do not balance"), None);
            assert_eq!(difference(SystemKind::Bongsu, known.scenario, &says), None);
        }
    }
}
