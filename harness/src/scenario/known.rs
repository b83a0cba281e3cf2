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

/// Words of books that are whole but for duplicates where none is allowed.
const TWICE: &[&str] = &["lost 0 ()", "of 0 allowed", "damaged 0 ()", "refused but found 0 ()", "unknown 0"];

const KNOWN: &[Difference] = &[
    Difference {
        system: SystemKind::Postfix,
        scenario: "primary_stopped_in_order_and_started_under_load",
        says: TWICE,
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
    Difference {
        system: SystemKind::Exim,
        scenario: "final_250_is_lost_and_the_client_tries_the_other_mx",
        says: &["1 copies, and not the two that were given"],
        why: "Exim looks whether the client is still there before it says 250 to a message, and drops the message where it is not",
    },
    Difference {
        system: SystemKind::Exim,
        scenario: "final_250_is_lost_between_two_nodes",
        says: &["duplicated: []"],
        why: "Exim looks whether the client is still there before it says 250 to a message, and drops the message where it is not",
    },
    Difference {
        system: SystemKind::Exim,
        scenario: "primary_stopped_in_order_and_started_under_load",
        says: TWICE,
        why: "Exim's sessions outlive its daemon until they are ended too: a sender may be left without the reply to its message, and it arrives twice",
    },
    Difference {
        system: SystemKind::Exim,
        scenario: "stopped_in_order_and_started_under_load",
        says: &["left without a reply by a stop in order"],
        why: "Exim's sessions outlive its daemon until they are ended too: a client may be left without the reply to its message, and sends it again",
    },
    Difference {
        system: SystemKind::Exim,
        scenario: "poison_among_good_messages",
        says: &["the good messages at the next hop", "retry time not reached for any host"],
        why: "Exim takes a connection that breaks for a failure of the host, and gives it nothing more until the host's next time: good messages wait with the poison",
    },
    Difference {
        system: SystemKind::Exim,
        scenario: "name_server_lies_and_mail_waits",
        says: &["`deferred` on office", "all relevant MX records point to non-existent hosts"],
        why: "Exim returns mail whose mail hosts do not exist or are addresses",
    },
    Difference {
        system: SystemKind::Exim,
        scenario: "five_hundred_clients_send_an_octet_a_second",
        says: &["a client was not greeted"],
        why: "Exim takes so many sessions at one time (smtp_accept_max: 20 as shipped, 100 here) and turns away or leaves ungreeted who comes beyond",
    },
    Difference {
        system: SystemKind::Exim,
        scenario: "five_hundred_clients_send_an_octet_a_second",
        says: &["greeted with 421"],
        why: "Exim takes so many sessions at one time (smtp_accept_max: 20 as shipped, 100 here) and turns away or leaves ungreeted who comes beyond",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "primary_killed_and_the_secondaries_take_over",
        says: TWICE,
        why: "OpenSMTPD writes down a delivery after its copy lies in the mailbox, and makes once more what a kill cut off between the two",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "all_three_down_and_back",
        says: TWICE,
        why: "OpenSMTPD writes down a delivery after its copy lies in the mailbox, and makes once more what a kill cut off between the two",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "primary_stopped_in_order_and_started_under_load",
        says: TWICE,
        why: "OpenSMTPD ends at once when it is stopped, sessions and deliveries too, and makes once more what was not written down",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "stopped_in_order_and_started_under_load",
        says: &["left without a reply by a stop in order"],
        why: "OpenSMTPD ends at once when it is stopped: a client may be left without the reply to its message, and sends it again",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "stopped_in_order_and_started_under_load",
        says: TWICE,
        why: "OpenSMTPD ends at once when it is stopped, sessions and deliveries too, and makes once more what was not written down",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "poison_among_good_messages",
        says: &["the good messages at the next hop", "Connection closed unexpectedly"],
        why: "OpenSMTPD takes a connection that breaks for a failure of the route, and leaves it alone for longer each time: good messages wait with the poison",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "name_server_is_down_and_mail_waits",
        says: &["`deferred` on office", "Invalid domain name"],
        why: "OpenSMTPD takes REFUSED of its name server for a domain that does not exist, and returns the mail",
    },
    Difference {
        system: SystemKind::OpenSmtpd,
        scenario: "five_hundred_clients_send_an_octet_a_second",
        says: &["a client was not greeted"],
        why: "OpenSMTPD has five connections waiting at most (its backlog), and greets the clients of a burst late",
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
