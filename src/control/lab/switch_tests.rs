//! The switch between sockets instead of interfaces: its decisions, and how fast it makes them.

use super::*;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

const NET: Network = Network(3);

/// A switch of `nodes` nodes, and the other ends of its ports.
fn switch(nodes: usize) -> (Switch, Vec<OwnedFd>) {
    far(nodes, Duration::ZERO)
}

/// The same with nodes that are so far from each other.
fn far(nodes: usize, delay: Duration) -> (Switch, Vec<OwnedFd>) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let pairs =
        (0..=nodes).map(|_| socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap());
    let (ports, ends) = pairs.unzip();
    (Switch::start(NET, ports, 7, delay, None).unwrap(), ends)
}

fn packet(from: Ipv4Addr, to: Ipv4Addr, body: u8) -> Vec<u8> {
    let mut packet = vec![0; 60];
    packet[0] = 0x45;
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    packet[59] = body;
    packet
}

/// The last byte of the next packet, if one comes in time.
fn next(end: &OwnedFd, patience: Duration) -> Option<u8> {
    let timeout = Timespec::try_from(patience).unwrap();
    let mut buffer = [0; 2000];
    let ready = poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&timeout)).unwrap();
    (ready > 0).then(|| read(end, &mut buffer).map(|n| buffer[n - 1]).unwrap())
}

const SOON: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(60);

fn link(from: End, to: End) -> Link {
    Link { from, to }
}

#[test]
fn packets_go_where_they_are_addressed_to_and_nowhere_else() {
    let (_switch, ends) = switch(3);
    write(&ends[0], &packet(NET.node(0), NET.node(2), 9)).unwrap();
    assert_eq!(next(&ends[2], SOON), Some(9));
    // As somebody else; to nobody; out of the lab; no packet at all.
    write(&ends[0], &packet(NET.node(1), NET.node(2), 1)).unwrap();
    write(&ends[0], &packet(NET.node(0), NET.node(7), 2)).unwrap();
    write(&ends[0], &packet(NET.node(0), Ipv4Addr::new(8, 8, 8, 8), 3)).unwrap();
    write(&ends[0], &[0x60; 60]).unwrap();
    write(&ends[0], &packet(NET.node(0), NET.node(2), 4)).unwrap();
    assert_eq!(next(&ends[2], SOON), Some(4));
    assert_eq!(next(&ends[1], MOMENT), None);
}

#[test]
fn nodes_and_clients_are_far_from_each_other_and_the_controller_is_near() {
    let (switch, ends) = far(2, MOMENT);
    let sent = |from: usize, packet: Vec<u8>| {
        let begun = Instant::now();
        write(&ends[from], &packet).unwrap();
        assert!(next(&ends[1 - from % 2], SOON).is_some());
        begun.elapsed()
    };
    let there = || sent(0, packet(NET.node(0), NET.node(1), 1));
    assert!(there() >= MOMENT);
    assert!(sent(2, packet(NET.clients(), NET.node(1), 2)) >= MOMENT);
    // What a fault does to a link comes on top, and what it leaves is as it was.
    let one_way = link(End::Node(0), End::Node(1));
    switch.set(&[(one_way.clone(), LinkRule { delay: MOMENT, ..LinkRule::default() })]).unwrap();
    assert_eq!(switch.rule(&one_way).delay, 2 * MOMENT);
    assert!(there() >= 2 * MOMENT);
    switch.set(&[(one_way.clone(), LinkRule::default())]).unwrap();
    assert_eq!(switch.rule(&one_way).delay, MOMENT);
    assert!(there() >= MOMENT);
    // A busy machine may take longer once, but not every time.
    let near = (0..20).map(|_| sent(2, packet(NET.control(), NET.node(1), 3))).min();
    assert!(near.is_some_and(|near| near < MOMENT), "{near:?}");
}

#[test]
fn a_cut_is_one_way_and_clients_are_cut_without_the_controller() {
    let (mut switch, ends) = switch(2);
    let cut = LinkRule { pass: Pass::Stall, ..LinkRule::default() };
    let cuts = [(link(End::Node(0), End::Node(1)), cut), (link(End::Clients, End::Node(0)), cut)];
    switch.set(&cuts).unwrap();
    write(&ends[0], &packet(NET.node(0), NET.node(1), 1)).unwrap();
    write(&ends[1], &packet(NET.node(1), NET.node(0), 2)).unwrap();
    assert_eq!(next(&ends[0], SOON), Some(2));
    write(&ends[2], &packet(NET.clients(), NET.node(0), 3)).unwrap();
    write(&ends[2], &packet(NET.control(), NET.node(0), 4)).unwrap();
    assert_eq!(next(&ends[0], SOON), Some(4));
    assert_eq!(next(&ends[1], MOMENT), None);
    switch.set(&[(cuts[0].0.clone(), LinkRule::default())]).unwrap();
    write(&ends[0], &packet(NET.node(0), NET.node(1), 5)).unwrap();
    assert_eq!(next(&ends[1], SOON), Some(5));
    // Packets are counted after they have arrived.
    switch.stop().unwrap();
    assert_eq!(switch.traffic(), Traffic { arrived: 3, dropped: 2 });
}

#[test]
fn a_delayed_packet_takes_its_time_and_is_lost_if_the_cable_is_cut_meanwhile() {
    let (switch, ends) = switch(2);
    let there = link(End::Node(0), End::Node(1));
    let slow = LinkRule { delay: Duration::from_millis(100), ..LinkRule::default() };
    switch.set(&[(there.clone(), slow)]).unwrap();
    let begun = Instant::now();
    write(&ends[0], &packet(NET.node(0), NET.node(1), 1)).unwrap();
    assert_eq!(next(&ends[1], SOON), Some(1));
    assert!(begun.elapsed() >= slow.delay, "{:?}", begun.elapsed());
    loop {
        let begun = Instant::now();
        write(&ends[0], &packet(NET.node(0), NET.node(1), 2)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        switch.set(&[(there.clone(), LinkRule { pass: Pass::Stall, ..slow })]).unwrap();
        let in_time = begun.elapsed() < slow.delay - MOMENT / 2;
        let arrived = next(&ends[1], Duration::from_millis(200));
        if in_time || arrived.is_none() {
            assert_eq!(arrived, None);
            break;
        }
        // A machine so busy that the packet was there before the cut: once more.
        switch.set(&[(there.clone(), slow)]).unwrap();
    }
}

#[test]
fn a_pulled_cable_cuts_a_node_from_everybody_and_takes_what_is_on_the_way() {
    let (switch, ends) = switch(2);
    let slow = LinkRule { delay: Duration::from_millis(60), ..LinkRule::default() };
    switch.set(&[(link(End::Node(0), End::Node(1)), slow)]).unwrap();
    write(&ends[0], &packet(NET.node(0), NET.node(1), 1)).unwrap();
    std::thread::sleep(Duration::from_millis(10));
    switch.plug(1, false);
    write(&ends[2], &packet(NET.control(), NET.node(1), 2)).unwrap();
    assert_eq!(next(&ends[1], Duration::from_millis(200)), None);
    write(&ends[1], &packet(NET.node(1), NET.node(0), 3)).unwrap();
    assert_eq!(next(&ends[0], MOMENT), None);
    switch.plug(1, true);
    write(&ends[2], &packet(NET.control(), NET.node(1), 4)).unwrap();
    assert_eq!(next(&ends[1], SOON), Some(4));
}

#[test]
fn what_the_switch_cannot_do_is_refused() {
    let (switch, _ends) = switch(2);
    let close = LinkRule { pass: Pass::Close, ..LinkRule::default() };
    assert!(switch.set(&[(link(End::Node(0), End::Node(1)), close)]).unwrap_err().contains("resets no"));
    let none = switch.set(&[(link(End::Node(0), End::Node(2)), LinkRule::default())]);
    assert!(none.unwrap_err().contains("there is no link"));
}

/// 20 000 packets a second is what a lab must have; the build that tests run is not even optimised.
#[test]
fn it_forwards_more_than_twenty_thousand_packets_a_second() {
    // A machine with more to do than it can gives it less than a core: then once more.
    let enough = |rates: &[f64]| rates.last().is_some_and(|rate| *rate > 20_000.0);
    let mut rates = Vec::new();
    while rates.len() < 10 && !enough(&rates) {
        rates.push(rate());
    }
    assert!(enough(&rates), "packets/s: {rates:.0?}");
}

/// Packets a second from one node to another.
fn rate() -> f64 {
    let (_switch, ends) = switch(2);
    let sent = packet(NET.node(0), NET.node(1), 1);
    let (begun, all) = (Instant::now(), 40_000);
    let mut arrived = 0;
    let mut buffer = [0; 2000];
    let mut on_the_way = 0;
    while arrived < all {
        // As many at a time as a socket holds, so that none is dropped.
        while on_the_way < 16 && write(&ends[0], &sent).is_ok() {
            on_the_way += 1;
        }
        assert!(next(&ends[1], SOON).is_some(), "{arrived} of {all} have arrived");
        (arrived, on_the_way) = (arrived + 1, on_the_way - 1);
        while read(&ends[1], &mut buffer).is_ok() {
            (arrived, on_the_way) = (arrived + 1, on_the_way - 1);
        }
    }
    f64::from(all) / begun.elapsed().as_secs_f64()
}
