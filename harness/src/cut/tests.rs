use super::*;
use crate::peer::Deed;

#[test]
fn a_client_and_an_honest_peer_lose_nothing() {
    let matrix = run(End::Client, End::Peer).unwrap();
    assert!(matrix.wrong().is_empty(), "{}", print(&matrix));
    assert_eq!(matrix.cells.len(), POINTS.len() * WAYS.len());
    assert_eq!(matrix.count(Outcome::Unreached), 0, "{}", print(&matrix));
}

#[test]
fn a_message_that_was_taken_and_forgotten_is_lost() {
    let matrix = run_scripted(End::Client, End::Peer, &|peer| peer.script(".", None, Deed::Forget)).unwrap();
    assert_eq!(matrix.count(Outcome::Lost), matrix.cells.len(), "{}", print(&matrix));
}
