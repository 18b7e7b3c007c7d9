//! A Rust file as far as the house rules look into it: its functions, its modules and the words they ask about.
//!
//! Built on the compiler's own tokens, so that comments and strings do not count as code.

use std::{
    iter,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::{run, workspace::Workspace};

/// Identifiers that a rule looks for.
const WORDS: [&str; 3] = ["unsafe", "to_be_bytes", "from_be_bytes"];
/// Macros that a rule looks for.
const MACROS: [&str; 2] = ["todo", "unimplemented"];

/// A Rust file.
#[derive(Default)]
pub(super) struct Source {
    /// Relative to the root of the workspace.
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Whether all of it is test code.
    pub(super) all_test: bool,
    pub(super) functions: Vec<Function>,
    /// Those of [`WORDS`] that occur, by line.
    pub(super) words: Vec<(&'static str, usize)>,
    /// Those of [`MACROS`] that are called, by line.
    pub(super) macros: Vec<(&'static str, usize)>,
    /// The modules that it declares in files of their own, and whether for tests alone.
    pub(super) modules: Vec<(String, bool)>,
    /// Where tests are ignored without a reason.
    pub(super) bare_ignores: Vec<usize>,
    pub(super) forbids_unsafe: bool,
    tests: Vec<RangeInclusive<usize>>,
}

/// A function with a body.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    /// From `fn` to the closing brace.
    pub(super) lines: usize,
}

/// Reads the Rust files among `paths`.
pub(super) fn read(workspace: &Workspace, paths: &[PathBuf]) -> Result<Vec<Source>> {
    let rust = paths.iter().filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let mut sources: Vec<Source> = rust
        .map(|path| Source::parse(path, run::read(&workspace.root().join(path))?))
        .collect::<Result<_>>()?;
    let test_modules: Vec<(PathBuf, String)> = sources
        .iter()
        .flat_map(|source| source.modules.iter().map(move |module| (source, module)))
        .filter(|(_, (_, for_tests))| *for_tests)
        .map(|(source, (name, _))| {
            (source.path.parent().map(Path::to_owned).unwrap_or_default(), name.clone())
        })
        .collect();
    for source in &mut sources {
        let declared = |(folder, name): &(PathBuf, String)| {
            source.path.starts_with(folder)
                && source.path.with_extension("").iter().any(|part| *part == **name)
        };
        source.all_test = source.path.iter().any(|part| part == "tests" || part == "benches")
            || test_modules.iter().any(declared);
    }
    Ok(sources)
}

impl Source {
    fn parse(path: &Path, text: String) -> Result<Self> {
        let tokens: TokenStream = text
            .parse()
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("{} is not Rust", path.display()))?;
        let mut source = Self { path: path.to_owned(), text, ..Self::default() };
        source.walk(tokens);
        Ok(source)
    }

    /// Whether this line is test code.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.all_test || self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// How many lines it has, tests not counted.
    pub(super) fn lines_of_code(&self) -> usize {
        (1..=self.text.lines().count()).filter(|line| !self.is_test(*line)).count()
    }

    fn walk(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut test_since = None;
        for (at, token) in tokens.iter().enumerate() {
            let line = token.span().start().line;
            let rest = tokens.get(at + 1..).unwrap_or_default();
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' && self.attribute(line, rest) => {
                    test_since = test_since.or(Some(line));
                }
                TokenTree::Ident(ident) => {
                    let name = ident.to_string();
                    self.words
                        .extend(WORDS.into_iter().filter(|word| *word == name).map(|word| (word, line)));
                    if let Some(TokenTree::Punct(bang)) = rest.first()
                        && bang.as_char() == '!'
                    {
                        self.macros.extend(MACROS.into_iter().filter(|it| *it == name).map(|it| (it, line)));
                    }
                    match name.as_str() {
                        "fn" => self.function(line, rest),
                        "mod" => self.module(rest, test_since.is_some()),
                        _ => {}
                    }
                }
                TokenTree::Group(group) => self.walk(group.stream()),
                _ => {}
            }
            if ends_item(token)
                && let Some(first) = test_since.take()
            {
                self.tests.push(first..=token.span().end().line);
            }
        }
    }

    /// Looks at the attribute whose `#` has just been read; says whether what follows is for tests alone.
    fn attribute(&mut self, line: usize, rest: &[TokenTree]) -> bool {
        let group = match rest {
            [TokenTree::Group(group), ..] => group,
            [TokenTree::Punct(bang), TokenTree::Group(group), ..] if bang.as_char() == '!' => group,
            _ => return false,
        };
        let words: Vec<String> = words(group).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["forbid", "unsafe_code"] => self.forbids_unsafe = true,
            ["ignore"] if !group.stream().to_string().contains('=') => self.bare_ignores.push(line),
            ["test"] => return true,
            ["cfg", conditions @ ..] => return conditions.contains(&"test") && !conditions.contains(&"not"),
            _ => {}
        }
        false
    }

    fn function(&mut self, line: usize, rest: &[TokenTree]) {
        let Some(TokenTree::Ident(name)) = rest.first() else { return };
        let Some(TokenTree::Group(body)) = rest.iter().find(|token| ends_item(token)) else { return };
        let lines = body.span_close().end().line.saturating_sub(line) + 1;
        self.functions.push(Function { name: name.to_string(), line, lines });
    }

    fn module(&mut self, rest: &[TokenTree], for_tests: bool) {
        if let [TokenTree::Ident(name), TokenTree::Punct(end), ..] = rest
            && end.as_char() == ';'
        {
            self.modules.push((name.to_string(), for_tests));
        }
    }
}

/// Whether an item that has begun is over with this token.
fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    }
}

/// All identifiers in a group, however deep.
fn words(group: &Group) -> Box<dyn Iterator<Item = String>> {
    Box::new(group.stream().into_iter().flat_map(|token| -> Box<dyn Iterator<Item = String>> {
        match token {
            TokenTree::Ident(ident) => Box::new(iter::once(ident.to_string())),
            TokenTree::Group(group) => words(&group),
            _ => Box::new(iter::empty()),
        }
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn parse(text: &str) -> Source {
        Source::parse(Path::new("wire/src/some.rs"), text.to_owned()).unwrap()
    }

    #[test]
    fn a_function_is_measured_from_its_name_to_its_last_brace() {
        let source =
            parse("fn a() {}\n\nfn b(\n    x: [u8; 3],\n) {\n    x;\n}\ntrait T {\n    fn c();\n}\n");
        let found: Vec<_> = source.functions.iter().map(|it| (it.name.as_str(), it.line, it.lines)).collect();
        assert_eq!(found, [("a", 1, 1), ("b", 3, 5)]);
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(parse("//! unsafe\nconst A: &str = \"unsafe\"; // unsafe\n").words, []);
        assert_eq!(parse("\nfn a() { unsafe {} }\n").words, [("unsafe", 2)]);
    }

    #[test]
    fn test_code_ends_with_its_item() {
        let source =
            parse("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(not(test))]\nfn c() {}\n");
        assert_eq!((1..8).filter(|line| source.is_test(*line)).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert_eq!(source.lines_of_code(), 3);
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        let source = parse("#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}\n");
        assert_eq!(source.bare_ignores, [1]);
    }

    #[test]
    fn modules_in_other_files_are_found() {
        let source = parse("mod a;\n#[cfg(test)]\nmod b;\nmod c {}\n");
        assert_eq!(source.modules, [("a".to_owned(), false), ("b".to_owned(), true)]);
    }
}
