//! A child in a container, by the tool of its engine.

use std::{fmt, iter};

use crate::{
    ConnectErrorKind, Dialect, Method, Plan, Stdio, Takes, Text, Transport, locale,
    options::{Options, check_word, common_options, program_option, user_option, words_option},
    quote::quoted,
    stage0,
};

/// What enters a container in which there is nothing.
const ENTER: &str = include_str!("enter.pl");

/// A running container, pod or set of namespaces in which there is a shell.
///
/// ```
/// use offshoot_bootstrap::Container;
///
/// assert_eq!(Container::docker("web").to_string(), "docker:web");
/// assert_eq!(Container::kubectl("web-0").namespace("prod").container("app").to_string(), "kubectl:web-0");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Container {
    engine: Engine,
    name: String,
    program: String,
    user: Option<String>,
    namespace: Option<String>,
    part: Option<String>,
    extra: Vec<String>,
    is_bare: bool,
    options: Options,
}

#[derive(Clone, Copy, Debug)]
enum Engine {
    Docker,
    Podman,
    Buildah,
    Kubectl,
    Lxc,
    Lxd,
    Incus,
    Jail,
    Nsenter,
    Machine,
}

impl Engine {
    const fn word(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Buildah => "buildah",
            Self::Kubectl => "kubectl",
            Self::Lxc => "lxc",
            Self::Lxd => "lxd",
            Self::Incus => "incus",
            Self::Jail => "jail",
            Self::Nsenter => "nsenter",
            Self::Machine => "machine",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Lxc => "lxc-attach",
            Self::Lxd => "lxc",
            Self::Jail => "jexec",
            Self::Machine => "systemd-run",
            engine => engine.word(),
        }
    }

    /// The words between the program and the container, what stands right before its name, and what comes behind it.
    const fn words(self) -> (&'static [&'static str], Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Docker | Self::Podman => (&["exec", "-i"], Some("--"), None),
            Self::Buildah => (&["run"], None, Some("--")),
            Self::Kubectl => (&["exec", "-i"], None, Some("--")),
            Self::Lxc => (&["--clear-env"], Some("-n"), Some("--")),
            Self::Lxd | Self::Incus => (&["exec", "--mode=non-interactive"], None, Some("--")),
            Self::Jail => (&[], Some("--"), None),
            Self::Nsenter => (&["-a"], Some("-t"), Some("--")),
            Self::Machine => (&["--quiet", "--collect", "--pipe", "--wait"], Some("-M"), Some("--")),
        }
    }

    /// What its tool gets as stdin and stdout: pipes if it hands them on into the container, where no server gives others. So
    /// does buildah: it makes its stdin non-blocking, which a socket would be as its stdout too, and what is not taken at once
    /// when the program there has ended is lost.
    const fn stdio(self) -> Stdio {
        match self {
            Self::Docker | Self::Podman | Self::Kubectl | Self::Lxd | Self::Incus => Stdio::Socket,
            Self::Buildah | Self::Lxc | Self::Jail | Self::Nsenter | Self::Machine => Stdio::Pipes,
        }
    }

    /// How it takes the command that is to run there.
    const fn takes(self) -> Takes {
        match self {
            Self::Machine => Takes::Expanded,
            _ => Takes::Words,
        }
    }

    /// How it is told who the child is to be in the container.
    const fn user(self) -> Told {
        match self {
            Self::Docker | Self::Podman => Told::Name("-u"),
            Self::Buildah => Told::Name("--user"),
            Self::Jail => Told::Name("-U"),
            Self::Machine => Told::Name("--uid"),
            Self::Lxc => Told::Numbers { user: "-u", group: "-g" },
            Self::Lxd | Self::Incus => Told::Numbers { user: "--user", group: "--group" },
            Self::Nsenter => Told::Numbers { user: "-S", group: "-G" },
            Self::Kubectl => Told::Nothing,
        }
    }
}

/// The options by which an engine is told of a user.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// It has none.
    Nothing,
    /// One, for whatever names a user there.
    Name(&'static str),
    /// One for his number, and one for that of his group: it would be root's otherwise.
    Numbers { user: &'static str, group: &'static str },
}

impl Told {
    /// The options and their values, as far as there are any for this user.
    fn words(self, said: &str) -> Vec<[String; 2]> {
        let word = |option: &str, value: &str| [option.to_owned(), value.to_owned()];
        match self {
            Self::Nothing => Vec::new(),
            Self::Name(option) => vec![word(option, said)],
            Self::Numbers { user, group } => {
                numbers(said).map_or(Vec::new(), |(uid, gid)| vec![word(user, uid), word(group, gid)])
            }
        }
    }

    /// What is wrong with this user, for an engine that is told so.
    fn refuses(self, said: &str) -> Option<&'static str> {
        match self {
            Self::Nothing => Some("is told to no engine of this kind: it is whoever the image says"),
            Self::Numbers { .. } if numbers(said).is_none() => {
                Some("is no number, or two with a colon between: this engine knows no names")
            }
            Self::Name(_) | Self::Numbers { .. } => None,
        }
    }
}

/// A user and his group, which has the same number unless another is said.
fn numbers(said: &str) -> Option<(&str, &str)> {
    let is_number =
        |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()) && word.parse::<u32>().is_ok();
    let (user, group) = said.split_once(':').unwrap_or((said, said));
    (is_number(user) && is_number(group)).then_some((user, group))
}

impl Container {
    /// A container of Docker, by name or id.
    pub fn docker(container: impl Into<String>) -> Self {
        Self::of(Engine::Docker, container.into())
    }

    /// A container of Podman, by name or id.
    pub fn podman(container: impl Into<String>) -> Self {
        Self::of(Engine::Podman, container.into())
    }

    /// A working container of Buildah.
    pub fn buildah(container: impl Into<String>) -> Self {
        Self::of(Engine::Buildah, container.into())
    }

    /// A pod of Kubernetes.
    pub fn kubectl(pod: impl Into<String>) -> Self {
        Self::of(Engine::Kubectl, pod.into())
    }

    /// A container of LXC, by `lxc-attach`.
    pub fn lxc(container: impl Into<String>) -> Self {
        Self::of(Engine::Lxc, container.into())
    }

    /// An instance of LXD, by `lxc exec`.
    pub fn lxd(instance: impl Into<String>) -> Self {
        Self::of(Engine::Lxd, instance.into())
    }

    /// An instance of Incus.
    pub fn incus(instance: impl Into<String>) -> Self {
        Self::of(Engine::Incus, instance.into())
    }

    /// A jail of FreeBSD.
    pub fn jail(jail: impl Into<String>) -> Self {
        Self::of(Engine::Jail, jail.into())
    }

    /// All the namespaces of a process on the same machine. Its root folder must have a shell.
    pub fn nsenter(pid: u32) -> Self {
        Self::of(Engine::Nsenter, pid.to_string())
    }

    /// A machine of systemd, as `machinectl list` shows it, by a unit in it: `machinectl shell` has always a terminal.
    pub fn machine(machine: impl Into<String>) -> Self {
        Self::of(Engine::Machine, machine.into())
    }

    fn of(engine: Engine, name: String) -> Self {
        Self {
            engine,
            name,
            program: engine.program().to_owned(),
            user: None,
            namespace: None,
            part: None,
            extra: Vec::new(),
            is_bare: false,
            options: Options::default(),
        }
    }

    /// For an image without a shell, of docker, podman or the namespaces of a process: the program is received on the
    /// machine of the container, and enters it by a descriptor that was opened before. Root must do it, and there must be a
    /// perl on that machine. The program is root there, with the capabilities that the container may have and no others;
    /// filters of system calls and cgroups are those of whoever enters. A [`user`](Self::user) is refused, and with
    /// [`nsenter`](Self::nsenter), where no tool runs, a [`program`](Self::program) and its [`option`](Self::option)s are.
    pub fn without_shell(mut self) -> Self {
        self.is_bare = true;
        self
    }

    user_option!(
        "Who the child is to run as there: for docker, podman, buildah, jail and a machine whatever names a user to them; for lxc, lxd, incus and nsenter a number, with that of the group behind a colon if it is another, `1000:100`. A pod has the user of its image: it is refused there."
    );

    /// The namespace of a pod. It is refused for whatever is none.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The container in a pod of several. It is refused for whatever is none.
    pub fn container(mut self, container: impl Into<String>) -> Self {
        self.part = Some(container.into());
        self
    }

    words_option!("Words right behind the program, such as `--context` and its value, or `-H` and a socket.");

    program_option!();

    common_options!();

    fn leader(&self) -> Vec<String> {
        let (before, right_before, after) = self.engine.words();
        let owned = |word: &str| word.to_owned();
        let of_pod = [("-n", &self.namespace), ("-c", &self.part)];
        let of_pod =
            of_pod.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value.clone()?]));
        let user = self.user.iter().flat_map(|user| self.engine.user().words(user));

        let mut argv = vec![self.program.clone()];
        argv.extend(self.extra.iter().cloned());
        argv.extend(before.iter().copied().map(owned));
        argv.extend(user.chain(of_pod).flatten());
        argv.extend(right_before.map(owned));
        argv.push(self.name.clone());
        argv.extend(after.map(owned));
        argv
    }

    /// How a program enters by itself what has no shell, if it can. The script is run where the engine is, and is told the
    /// container and the program.
    fn entrance(&self) -> Option<Vec<String>> {
        let enter = stage0::one_line(ENTER);
        match self.engine {
            Engine::Nsenter => Some(vec!["perl".to_owned(), "-e".to_owned(), enter, self.name.clone()]),
            Engine::Docker | Engine::Podman => {
                let engine = iter::once(&self.program).chain(&self.extra);
                let engine = engine.map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                let script = format!(
                    r#"p=$({engine} inspect --format '{{{{.State.Pid}}}}' "$0") && exec perl -e {} "$p" "$@""#,
                    quoted(&enter)
                );
                Some(vec!["sh".to_owned(), "-c".to_owned(), script, self.name.clone()])
            }
            _ => None,
        }
    }

    fn transport(&self) -> Transport {
        if !self.is_bare {
            let (stdio, takes) = (self.engine.stdio(), self.engine.takes());
            return Transport { stdio, takes, ..Transport::words(self.leader()) };
        }
        let enter = self.entrance().unwrap_or_default();
        // The program goes in by itself, with the descriptors that it was started with.
        Transport { near: true, enter, stdio: Stdio::Pipes, ..Transport::words::<String>([]) }
    }

    /// What was said and cannot be told to this engine: the child would not be what was asked for.
    fn untold(&self) -> Option<ConnectErrorKind> {
        let user =
            self.user.as_ref().and_then(|user| Some(bad("user", user, self.engine.user().refuses(user)?)));
        let is_pod = matches!(self.engine, Engine::Kubectl);
        let of_pod = [("namespace", &self.namespace), ("container", &self.part)];
        let mut of_pod = of_pod.into_iter().filter(|_| !is_pod);
        user.or_else(|| of_pod.find_map(|(what, word)| Some(bad(what, word.as_ref()?, "is for pods alone"))))
    }

    /// The same for what enters without a shell.
    fn useless(&self) -> Option<ConnectErrorKind> {
        if self.entrance().is_none() {
            return Some(bad("container", &self.name, "cannot be entered without a shell by this engine"));
        }
        // Nothing but the perl runs where it is the namespaces of a process.
        let is_alone = matches!(self.engine, Engine::Nsenter);
        let program = Some(&self.program).filter(|program| is_alone && **program != self.engine.program());
        let said = [
            ("user", self.user.as_ref(), "is told to no engine without a shell: the program is root there"),
            ("program", program, "is not run without a shell: perl enters the process by itself"),
            ("option", self.extra.first().filter(|_| is_alone), "has nobody to tell it to without a shell"),
        ];
        said.into_iter().find_map(|(what, text, why)| Some(bad(what, text?, why)))
    }

    fn flaw(&self) -> Option<ConnectErrorKind> {
        let named = [
            ("container", Some(&self.name)),
            ("user", self.user.as_ref()),
            ("namespace", self.namespace.as_ref()),
            ("container", self.part.as_ref()),
        ];
        let bad = named.into_iter().find_map(|(what, word)| check_word(what, word?));
        bad.or_else(|| self.untold()).or_else(|| self.useless().filter(|_| self.is_bare))
    }
}

fn bad(what: &str, text: &str, why: &str) -> ConnectErrorKind {
    ConnectErrorKind::BadPlace { what: what.into(), text: text.into(), why: why.into() }
}

impl Method for Container {
    fn plan(&self) -> Plan {
        let (dialect, flaw, env) = (Dialect::Container, self.flaw(), vec![locale::english()]);
        let transport = Transport { dialect, flaw, env, ..self.transport() };
        self.options.plan(self.engine.word(), &self.name, transport)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.engine.word(), Text::from(self.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_engine() {
        for (container, words) in [
            (
                Container::docker("c").user("u").option(["-H", "unix://s"]),
                "docker -H unix://s exec -i -u u -- c",
            ),
            (Container::podman("c"), "podman exec -i -- c"),
            (Container::buildah("c").user("u"), "buildah run --user u c --"),
            (Container::kubectl("p").namespace("n").container("c"), "kubectl exec -i -n n -c c p --"),
            (Container::lxc("c"), "lxc-attach --clear-env -n c --"),
            (Container::lxd("c"), "lxc exec --mode=non-interactive c --"),
            (Container::incus("c"), "incus exec --mode=non-interactive c --"),
            (Container::jail("c").user("u"), "jexec -U u -- c"),
            (Container::nsenter(7), "nsenter -a -t 7 --"),
            (
                Container::machine("m").user("u"),
                "systemd-run --quiet --collect --pipe --wait --uid u -M m --",
            ),
        ] {
            assert_eq!(container.leader().join(" "), words);
        }
    }

    #[test]
    fn what_systemd_would_expand_is_said_twice() {
        let argv = |container: Container| container.transport().argv().pop().unwrap();
        let (plain, doubled) = (argv(Container::docker("c")), argv(Container::machine("m")));
        assert!(plain.contains("${l}") && !plain.contains("$$"), "{plain}");
        assert_eq!(doubled.replace("$$", "$"), plain);
        assert_eq!(doubled.matches('$').count(), 2 * plain.matches('$').count());
    }

    #[test]
    fn an_engine_that_knows_no_names_is_told_the_numbers_of_user_and_group() {
        for (container, words) in [
            (Container::lxc("c").user("5"), "lxc-attach --clear-env -u 5 -g 5 -n c --"),
            (Container::lxd("c").user("5:6"), "lxc exec --mode=non-interactive --user 5 --group 6 c --"),
            (Container::incus("c").user("0"), "incus exec --mode=non-interactive --user 0 --group 0 c --"),
            (Container::nsenter(7).user("5:6"), "nsenter -a -S 5 -G 6 -t 7 --"),
        ] {
            assert_eq!(container.leader().join(" "), words);
            assert!(container.plan().check().is_ok());
        }
        for user in ["www", "5:www", "5:", ":5", "+5", "5:6:7", "4294967296"] {
            for container in [Container::lxc("c"), Container::lxd("c"), Container::nsenter(7)] {
                let error = container.user(user).plan().check().unwrap_err();
                let text = format!("the user `{user}` is no number, or two with a colon between");
                assert!(error.code() == "bad_place" && error.to_string().contains(&text), "{error}");
            }
        }
    }

    #[test]
    fn what_an_engine_cannot_be_told_is_refused() {
        for (container, text) in [
            (Container::kubectl("p").user("www"), "the user `www` is told to no engine"),
            (Container::docker("c").namespace("prod"), "the namespace `prod` is for pods alone"),
            (Container::lxc("c").container("app"), "the container `app` is for pods alone"),
            (Container::nsenter(7).namespace("n").without_shell(), "the namespace `n` is for pods alone"),
        ] {
            let error = container.plan().check().unwrap_err();
            assert!(error.code() == "bad_place" && error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn what_would_be_told_to_nobody_without_a_shell_is_refused() {
        let bare = || Container::nsenter(7).without_shell();
        for (container, text) in [
            (bare().program("/opt/nsenter"), "the program `/opt/nsenter` is not run without a shell: perl"),
            (bare().option(["--no-fork"]), "the option `--no-fork` has nobody to tell it to without a shell"),
            (Container::docker("c").user("u").without_shell(), "the user `u` is told to no engine"),
            (Container::lxc("c").without_shell(), "the container `c` cannot be entered without a shell"),
        ] {
            let error = container.plan().check().unwrap_err();
            assert!(error.code() == "bad_place" && error.to_string().contains(text), "{error}");
        }
        let docker = Container::docker("c").program("/opt/docker").option(["-H", "unix://s"]);
        assert!(docker.without_shell().plan().check().is_ok() && bare().plan().check().is_ok());
    }

    #[test]
    fn a_name_that_is_an_option_is_refused() {
        for container in [
            Container::docker("--privileged"),
            Container::docker(""),
            Container::docker("c").user("-x"),
            Container::kubectl("p").namespace("a b"),
        ] {
            assert_eq!(container.plan().check().unwrap_err().code(), "bad_place");
        }
    }
}
