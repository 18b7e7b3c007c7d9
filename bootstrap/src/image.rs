//! A child in a container that is made of an image for it.

use std::fmt;

use crate::{
    Dialect, Method, Plan, Text, Transport,
    options::{Options, check_word, common_options, user_option, words_option},
};

/// A container of the child's own, made of an image in which there is a shell. It is removed when the child ends.
///
/// ```
/// use offshoot_bootstrap::Image;
///
/// let build = Image::docker("alpine:3.20").option(["--network", "none"]);
/// assert_eq!(build.to_string(), "docker-run:alpine:3.20");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a method does nothing until something connects by it"]
pub struct Image {
    engine: &'static str,
    image: String,
    program: Vec<String>,
    user: Option<String>,
    extra: Vec<String>,
    options: Options,
}

impl Image {
    /// An image of Docker.
    pub fn docker(image: impl Into<String>) -> Self {
        Self::of("docker", image.into())
    }

    /// An image of Podman.
    pub fn podman(image: impl Into<String>) -> Self {
        Self::of("podman", image.into())
    }

    fn of(engine: &'static str, image: String) -> Self {
        let program = vec![engine.to_owned()];
        Self { engine, image, program, user: None, extra: Vec::new(), options: Options::default() }
    }

    user_option!("Who the child is to run as there.");

    words_option!("Options of `run`, such as `--network` and `none`, or `--volume=/data:/data`.");

    /// The program of the engine, where it is not in the PATH by its usual name, and the options before `run`.
    pub fn program<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.program = words.into_iter().map(Into::into).collect();
        self
    }

    common_options!();

    fn leader(&self) -> Vec<String> {
        let mut argv = self.program.clone();
        // Whatever the image would run by itself is not run.
        argv.extend(["run", "--rm", "--interactive", "--entrypoint="].map(str::to_owned));
        argv.extend(self.user.iter().map(|user| format!("--user={user}")));
        argv.extend(self.extra.iter().cloned());
        argv.extend(["--".to_owned(), self.image.clone()]);
        argv
    }
}

impl Method for Image {
    fn plan(&self) -> Plan {
        let user = self.user.as_ref().and_then(|user| check_word("user", user));
        let flaw = check_word("image", &self.image).or(user);
        let transport = Transport { dialect: Dialect::Container, flaw, ..Transport::words(self.leader()) };
        self.options.plan(self.engine, &self.image, transport)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-run:{}", self.engine, Text::from(self.image.as_str()))
    }
}
