use super::*;
use crate::record::MomentKind;

/// What was written, kept for the test.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// What a terminal would show: it knows the few sequences that the view uses.
    fn shown(&self) -> Vec<String> {
        let mut lines: Vec<String> = vec![String::new()];
        let mut at = 0;
        for piece in self.text().split_inclusive('\n') {
            let mut rest = piece;
            while let Some((before, code)) = rest.split_once("\x1b[") {
                lines[at].push_str(before.trim_matches('\r'));
                let end = code.find(|letter: char| letter.is_ascii_alphabetic()).unwrap();
                match &code[end..=end] {
                    "A" => {
                        at -= code[..end].parse::<usize>().unwrap();
                        lines[at].clear();
                    }
                    "J" => lines.truncate(at + 1),
                    "K" | "m" => {}
                    other => panic!("{other}"),
                }
                rest = &code[end + 1..];
            }
            lines[at].push_str(rest.trim_matches(['\r', '\n']));
            if rest.ends_with('\n') {
                at += 1;
                if at == lines.len() {
                    lines.push(String::new());
                }
                lines[at].clear();
            }
        }
        lines
    }
}

fn moment(at: u64, kind: MomentKind, text: &str) -> Moment {
    Moment { at: Duration::from_millis(at), kind, node: None, text: text.into() }
}

fn nodes() -> Vec<NodeRecord> {
    ["primary", "secondary"].map(|name| NodeRecord { name: name.into(), ..NodeRecord::default() }).into()
}

fn sample(accepted: usize, queued: [Option<usize>; 2], delivered: [Option<usize>; 2]) -> Sample {
    Sample { accepted, queued: queued.into(), delivered: delivered.into(), ..Sample::default() }
}

const PLAIN: Manner = Manner { in_place: false, colours: false, size: Some((80, 24)) };
const PLACE: Manner = Manner { in_place: true, colours: false, size: Some((80, 24)) };

#[test]
fn a_line_a_moment_without_a_terminal() {
    let kept = Kept::default();
    let live = Live::on(Box::new(kept.clone()), PLAIN, 2);
    let playing = live.scenario("primary_dies", "nothing is lost");
    playing.sample(&sample(400, [Some(0), Some(3)], [Some(390), Some(0)]), &nodes());
    playing.moment(&moment(4012, MomentKind::Fault, "primary is killed\u{1b}[2J"));
    playing.verdict(&Verdict::Passed, Duration::from_millis(21_300));
    assert_eq!(
        kept.text(),
        "primary_dies (1 of 2): nothing is lost\n    4.012 s  fault  primary is killed^[[2J\n\
         ✓ primary_dies passed in 21.3 s: 400 messages accepted, 390 copies delivered\n"
    );
}

#[test]
fn the_block_is_redrawn_and_gives_way_to_the_verdict() {
    let kept = Kept::default();
    let live = Live::on(Box::new(kept.clone()), PLACE, 1);
    let playing = live.scenario("primary_dies", &"a long sentence ".repeat(20));
    playing.sample(&sample(200, [Some(0), Some(90)], [Some(100), Some(0)]), &nodes());
    playing.state("primary", "down");
    for n in 0..9 {
        playing.moment(&moment(n * 1000, MomentKind::Fault, "primary is killed"));
    }
    playing.sample(&sample(200, [None, Some(90)], [None, Some(0)]), &nodes());
    playing.state("primary", "down");
    let shown = kept.shown();
    assert!(shown.iter().all(|line| line.chars().count() < 80), "{shown:#?}");
    assert_eq!(shown.iter().filter(|line| line.contains("primary is killed")).count(), LAST);
    let node = shown.iter().find(|line| line.contains("✗ primary")).expect("its line");
    assert!(node.contains("down") && node.contains("100 delivered"), "{node}");
    playing.verdict(&Verdict::Failed("lost: t-1\nlog".into()), Duration::from_secs(3));
    live.say("report: report.html");
    assert_eq!(kept.shown().join("|"), "✗ primary_dies failed after 3.0 s|    lost: t-1|    log|report: report.html|");
}

#[test]
fn a_block_taller_than_the_terminal_is_cut() {
    let kept = Kept::default();
    let live = Live::on(Box::new(kept.clone()), Manner { size: Some((80, 6)), ..PLACE }, 1);
    let playing = live.scenario("many_nodes", "x");
    let nodes: Vec<_> = (0..30).map(|n| NodeRecord { name: format!("node-{n}"), ..NodeRecord::default() }).collect();
    playing.sample(&Sample::default(), &nodes);
    playing.state("node-1", "paused");
    assert_eq!(kept.shown().iter().filter(|line| !line.is_empty()).count(), 4, "{:#?}", kept.shown());
}

#[test]
fn side_by_side_each_line_has_its_scenarios_name() {
    let kept = Kept::default();
    let live = Live::on(Box::new(kept.clone()), PLACE, 2);
    let (one, two) = (live.scenario("one", "first"), live.scenario("two", "second"));
    std::thread::scope(|scope| {
        scope.spawn(|| one.moment(&moment(1, MomentKind::Step, "a step")));
        scope.spawn(|| two.moment(&moment(2, MomentKind::Check, "a check")));
    });
    one.verdict(&Verdict::Skipped("no root".into()), Duration::ZERO);
    let shown = kept.shown();
    let has = |text: &str| shown.iter().any(|line| line == text);
    assert!(has("one:     0.001 s  step   a step") && has("two:     0.002 s  check  a check"), "{shown:#?}");
    assert!(has("– one skipped: no root") && shown.iter().any(|line| line.starts_with("2 of 2  two")), "{shown:#?}");
}

#[test]
fn colours_only_where_wanted() {
    let kept = Kept::default();
    Live::on(Box::new(kept.clone()), Manner { colours: true, ..PLAIN }, 1)
        .scenario("one", "x")
        .verdict(&Verdict::Passed, Duration::ZERO);
    assert!(kept.text().contains("\x1b[32m✓ one passed\x1b[0m"));
}
