//! Names of ways, `ssh:web1.sudo:root`: whatever a place is called, it is one word of the command and one part of a name,
//! or it is refused before anything is started.

use offshoot_bootstrap::{Chroot, Container, Image, Method, Nspawn, Plan, Srun, Ssh, Sudo};
use offshoot_core::machine::{Actions, Config, Event, Limits, Machine, NewChild, Tick};
use offshoot_parent::table::Table;
use offshoot_wire::{
    AddRoute, ContextId, Frame, Handle, Hello, MAX_NAME, ReplyTo, Role, Setup, VERSION, clean_name, codec,
};
use serde::Serialize;

use super::Peak;

pub(super) fn run(input: &[u8], _: Peak) {
    let text = String::from_utf8_lossy(input);
    let plans: Vec<Plan> = text.split('.').take(6).map(plan).filter(is_taken).collect();
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    let path = names.join(".");
    assert_eq!(path.split('.').collect::<Vec<_>>().len(), names.len().max(1), "{path:?}");
    announced(&text);
}

fn plan(way: &str) -> Plan {
    let (method, place) = way.split_once(':').unwrap_or(("ssh", way));
    let place = place.to_owned();
    match method {
        "sudo" => Sudo::new().user(place).plan(),
        "su" => Sudo::by_su().user(place).plan(),
        "doas" => Sudo::by_doas().user(place).plan(),
        "docker" => Container::docker(place).plan(),
        "kubectl" => Container::kubectl(place).namespace(method).plan(),
        "lxc" => Container::lxc(place).plan(),
        "incus" => Container::incus(place).plan(),
        "machine" => Container::machine(place).plan(),
        "image" => Image::podman(place).plan(),
        "chroot" => Chroot::new(place).plan(),
        "nspawn" => Nspawn::new(place).plan(),
        "srun" => Srun::new().node(place).plan(),
        "user" => Ssh::new("web1").user(place).plan(),
        "folder" => Ssh::new("web1").folder(place).plan(),
        "preplaced" => Ssh::new("web1").preplaced(place).plan(),
        _ => Ssh::new(place).plan(),
    }
}

/// Whether it would be started: then its words are what they seem.
fn is_taken(plan: &Plan) -> bool {
    let explained = plan.explain();
    assert!(
        !explained.chars().any(|c| c.is_control() && c != '\n'),
        "{explained:?} is not fit to be printed"
    );
    if let Err(error) = plan.check() {
        assert!(!error.to_string().contains(char::is_control), "{error} is not fit to be printed");
        return false;
    }
    is_one_part(&plan.name);
    let argv = plan.transport.as_ref().map(|transport| transport.argv()).unwrap_or_default();
    // What stage 0 is told by a shell's -c is ours alone, and the rest has no character that only an attacker needs.
    for word in &argv {
        assert!(!word.contains(['\0', '\n', '\r', '\x1b']), "{word:?} is a word of a command");
    }
    if &*plan.method == "ssh" {
        let host = argv.iter().position(|word| word == "--").and_then(|at| argv.get(at + 1));
        assert!(host.is_some_and(|host| !host.starts_with('-')), "{argv:?}");
    }
    true
}

fn is_one_part(name: &str) {
    assert!(!name.is_empty() && name.len() <= MAX_NAME && clean_name(name) == name, "{name:?} is no part");
    assert!(
        !name.contains(|c: char| c == '.' || c == '/' || c.is_whitespace() || c.is_control()),
        "{name:?}"
    );
}

/// What a child below announces is one part in the table of the root, too.
fn announced(name: &str) {
    let limits = Limits::default();
    let (me, ancestors, functions) = (ContextId::ROOT, Vec::new(), Vec::new());
    let config = Config { me, ancestors, role: Role::Parent, one_way: false, functions, build: 0, limits };
    let mut root = Machine::new(config, Table::root());
    let mut out = Actions::new();
    let id = root.take_id(&mut out).expect("the first id");
    let setup = Setup {
        version: VERSION,
        features: 0,
        id,
        ancestors: vec![me],
        name: name.into(),
        one_way: false,
        body_limit: 1 << 20,
        ping_ms: 0,
        grace_ms: 0,
        log_level: 0,
    };
    let child = NewChild { id, name: name.into(), stamped: false, deadline: Tick(u64::MAX), setup };
    let link = root.add_child(Tick(0), child, &mut out);
    let mut says = |handle, body: Vec<u8>| {
        let (dst, reply_to, body) = (ContextId::ROOT, ReplyTo::Nobody, body.into());
        let frame = Frame { dst, src: id, auth: id, handle, reply_to, part: None, body };
        root.handle(Tick(0), Event::Frame { link, frame }, &mut out);
    };
    says(
        Handle::HELLO,
        encoded(&Hello { version: VERSION, features: 0, role: Role::Parent, pid: 1, build: 0 }),
    );
    says(Handle::ALLOCATE_ID, encoded(&offshoot_wire::AllocateId::Ask));
    let below = ContextId::new(1000);
    says(Handle::ADD_ROUTE, encoded(&AddRoute { id: below, parent: id, name: name.into() }));
    let names: Vec<String> = root.routes().tree().map(|entry| entry.name).collect();
    assert!(names.len() == 2 || name.len() > 4000, "{names:?} of {name:?} are announced");
    names.iter().for_each(|name| is_one_part(name));
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    codec::encode(value).expect("control bodies can be encoded")
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let ways = [
        "ssh:web1.sudo:root.docker:app",
        "su:me.doas:root.kubectl:pod-1.lxc:a.incus:b.machine:c",
        "image:alpine:3.chroot:/srv/root.nspawn:/srv/x.srun:node7",
        "user:me.folder:/var/tmp.preplaced:/usr/lib/app",
        "ssh:-oProxyCommand=x.ssh:\u{1b}]0;x\u{7}.sudo:$(id)",
    ];
    ways.map(|way| way.as_bytes().to_vec()).to_vec()
}
