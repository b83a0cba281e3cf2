//! Ordinary mail: what crosses the network when nothing is broken, and what is refused at the door.

use anyhow::ensure;

use crate::Result;
use crate::ledger::Told;
use crate::scenario::{ANY, BONGSU, EVERYWHERE, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "mail_crosses_two_nodes",
        shows: "A message given to the backup MX reaches the mailbox behind the primary, octet for octet, and is fetched over POP3.",
        rows: &["R3.1", "R3.3", "R5.1"],
        topology: || Topology::shipped("pair"),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: crosses,
    },
    Scenario {
        name: "oversize_is_refused_declared_undeclared_and_at_the_secondary",
        shows: "A message over the limit is refused with 552 whether its size was declared or not, at the primary and at the secondary, and the session goes on.",
        rows: &["R1.1"],
        topology: || {
            let mut topology = Topology::shipped("pair")?;
            topology.settings.push_str("smtp.message_size_limit = \"100 kB\"\n");
            Ok(topology)
        },
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: oversize,
    },
];

fn crosses(stage: &Stage) -> Result<()> {
    let (_, reply) = stage.send("secondary", "friend@client.example", &["minji@office.example"])?;
    ensure!(reply.starts_with("250 "), "the secondary said {reply}");
    let (token, _) = stage.send("secondary", "friend@client.example", &["sora@office.example", "juno@office.example"])?;
    for name in ["secondary", "primary"] {
        stage.server(name)?.wait_empty(PATIENCE)?;
    }
    stage.step("fetched over POP3");
    for mailbox in ["minji@office.example", "sora@office.example", "juno@office.example"] {
        let mut pop = stage.pop(mailbox)?;
        ensure!(pop.stat()?.0 == 1, "{mailbox} has {} messages", pop.stat()?.0);
        let text = pop.retr(1)?;
        ensure!(
            mailbox.starts_with("minji") || crate::ledger::token(&text).as_deref() == Some(&token),
            "another message lies there"
        );
        pop.quit()?;
    }
    stage.held("every mailbox has its one message");
    Ok(())
}

fn oversize(stage: &Stage) -> Result<()> {
    for node in ["primary", "secondary"] {
        let mut smtp = stage.smtp(node)?;
        let declared = smtp.command("MAIL FROM:<friend@client.example> SIZE=100001")?.expect(552)?;
        ensure!(declared.text().starts_with("5.3.4"), "{node} said {}", declared.text());
        let large = crate::load::message("too-large", 150_000);
        smtp.command("MAIL FROM:<friend@client.example>")?.expect(250)?;
        smtp.command("RCPT TO:<minji@office.example>")?.expect(250)?;
        smtp.command("DATA")?.expect(354)?;
        smtp.send(&crate::smtp::stuffed(&large))?;
        smtp.reply()?.expect(552)?;
        stage.ledger().enter("too-large", crate::ledger::Line::new(Told::Refused, &["minji@office.example"]));
        smtp.command("NOOP")?.expect(250)?;
        smtp.quit()?;
        stage.held(format!("{node} refuses with 552 and the session goes on"));
    }
    Ok(())
}
