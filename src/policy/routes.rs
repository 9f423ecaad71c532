//! The route table: `@http("GET|POST /api/v1/cameras/{camera}")` of the schemas, as a matcher.
//!
//! Literal segments match byte for byte; a `{name}` is one whole segment; `{name...}` at the end is the
//! rest of the path (at least one byte). A literal goes before a `{name}`, and that before the rest.
//! `*` stands for every method that the same path doesn't name. HEAD comes with GET. Several routes of
//! one action are separated by commas.

use std::collections::BTreeMap;

/// One route of an action, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Empty: every method not named otherwise.
    methods: Vec<String>,
    /// As the matcher wants it: `{rest...}` is `{*rest}` there.
    template: String,
    /// The path as written.
    pub(super) path: String,
    catch_all: bool,
}

impl Pattern {
    /// Reads the value of an `@http`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(super) fn parse_all(value: &str) -> Result<Vec<Self>, String> {
        value.split(',').map(|one| Self::parse(one.trim())).collect()
    }

    fn parse(value: &str) -> Result<Self, String> {
        let (methods, path) = value
            .split_once(' ')
            .map(|(m, p)| (m.trim(), p.trim()))
            .ok_or_else(|| format!("`{value}` is not a method, a space and a path"))?;
        let methods: Vec<String> = match methods {
            "*" => Vec::new(),
            list => list.split('|').map(str::to_owned).collect(),
        };
        if let Some(bad) = methods.iter().find(|m| m.is_empty() || !m.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(format!("`{bad}` is not a method: write it in capital letters"));
        }
        let rest =
            path.strip_prefix('/').ok_or_else(|| format!("the path `{path}` doesn't begin with `/`"))?;
        let mut template = String::new();
        let mut names = Vec::new();
        let mut catch_all = false;
        let segments: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        for segment in &segments {
            if catch_all {
                return Err(format!("nothing may follow the rest of the path in `{path}`"));
            }
            template.push('/');
            let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) else {
                if segment.is_empty() || segment.contains(['{', '}', '*', '%', '?', '#', ' ']) {
                    return Err(format!(
                        "`{segment}` is neither a literal segment nor `{{name}}` in `{path}`"
                    ));
                }
                template.push_str(segment);
                continue;
            };
            let plain = name.strip_suffix("...").unwrap_or(name);
            if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                return Err(format!("`{segment}`: a name is lower-case letters and `_`"));
            }
            if names.contains(&plain) {
                return Err(format!("`{plain}` stands twice in `{path}`"));
            }
            names.push(plain);
            catch_all = plain != name;
            template.push_str(&if catch_all { format!("{{*{plain}}}") } else { format!("{{{plain}}}") });
        }
        if template.is_empty() {
            template.push('/');
        }
        Ok(Self { methods, template, path: path.to_owned(), catch_all })
    }

    /// Each method with the path; `*` for every method that isn't named.
    pub(super) fn written(&self) -> impl Iterator<Item = (&str, &str)> {
        let any = self.methods.is_empty().then_some("*");
        self.methods.iter().map(String::as_str).chain(any).map(|method| (method, self.path.as_str()))
    }
}

#[derive(Debug, Default, Clone)]
struct Leaf {
    methods: Vec<(String, usize)>,
    any: Option<usize>,
    catch_all: bool,
    allow: String,
}

/// What a method and a path were found to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'t, 'p> {
    /// The action with this position.
    Action {
        /// Position.
        index: usize,
        /// `{org}`.
        org: Option<&'p str>,
        /// The last other name.
        resource_id: Option<&'p str>,
    },
    /// With these methods only.
    Allow(&'t str),
    /// Nothing.
    Nothing,
}

/// The matcher.
#[derive(Default)]
pub(super) struct Routes {
    router: matchit::Router<Leaf>,
}

/// Two declarations that can't stand beside each other: the position of the later action in the given
/// list, and why.
pub(super) struct Clash {
    /// Position in the list.
    pub(super) index: usize,
    /// The path of its route.
    pub(super) path: String,
    /// One line.
    pub(super) message: String,
}

impl Routes {
    /// Builds the table from `(action, its routes)`; `name` tells an action's name.
    ///
    /// # Errors
    /// Every method and path that is declared twice, and every pair of paths that can't be told apart.
    pub(super) fn build<'a>(
        declared: impl Iterator<Item = (usize, &'a [Pattern])>,
        name: impl Fn(usize) -> String,
    ) -> Result<Self, Vec<Clash>> {
        let mut leaves: BTreeMap<&str, (Leaf, usize, &str)> = BTreeMap::new();
        let mut clashes = Vec::new();
        for (index, patterns) in declared {
            for pattern in patterns {
                let (leaf, _, _) = leaves
                    .entry(&pattern.template)
                    .or_insert_with(|| (Leaf::default(), index, &pattern.path));
                leaf.catch_all = pattern.catch_all;
                let mut twice = |method: &str, other: usize| {
                    let message = format!(
                        "`{method} {}` is declared twice: by `{}` and by `{}`",
                        pattern.path,
                        name(other),
                        name(index)
                    );
                    clashes.push(Clash { index, path: pattern.path.clone(), message });
                };
                if pattern.methods.is_empty() {
                    match leaf.any {
                        Some(other) => twice("*", other),
                        None => leaf.any = Some(index),
                    }
                }
                for method in &pattern.methods {
                    match leaf.methods.iter().find(|(m, _)| m == method) {
                        Some((_, other)) => twice(method, *other),
                        None => leaf.methods.push((method.clone(), index)),
                    }
                }
            }
        }
        let mut router = matchit::Router::new();
        for (template, (mut leaf, index, path)) in leaves {
            leaf.finish();
            if let Err(error) = router.insert(template, leaf) {
                let why = match error {
                    matchit::InsertError::Conflict { with } => {
                        format!("`{path}` can't be told from `{}`", with.replace("{*", "{"))
                    }
                    other => format!("`{path}`: {other}"),
                };
                clashes.push(Clash { index, path: path.to_owned(), message: why });
            }
        }
        if clashes.is_empty() { Ok(Self { router }) } else { Err(clashes) }
    }

    /// Looks up a method and a canonical path.
    pub(super) fn find<'t, 'p>(&'t self, method: &str, path: &'p str) -> Found<'t, 'p> {
        let Ok(found) = self.router.at(path) else { return Found::Nothing };
        let leaf: &'t Leaf = found.value;
        let named = leaf.methods.iter().find(|(m, _)| m == method).map(|(_, index)| *index);
        let Some(index) = named.or(leaf.any) else { return Found::Allow(&leaf.allow) };
        let (mut org, mut resource_id) = (None, None);
        let segments = found.params.len() - usize::from(leaf.catch_all);
        for (key, value) in found.params.iter().take(segments) {
            if key == "org" { org = Some(value) } else { resource_id = Some(value) }
        }
        Found::Action { index, org, resource_id }
    }
}

impl Leaf {
    /// Adds HEAD beside GET and writes the value of `Allow`.
    fn finish(&mut self) {
        let of = |leaf: &Self, method| leaf.methods.iter().find(|(m, _)| m == method).map(|(_, i)| *i);
        if let (Some(get), None) = (of(self, "GET"), of(self, "HEAD")) {
            self.methods.push(("HEAD".to_owned(), get));
        }
        self.methods.sort();
        self.allow = self.methods.iter().map(|(m, _)| m.as_str()).collect::<Vec<_>>().join(", ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[&str]) -> Result<Routes, Vec<String>> {
        let patterns: Vec<_> = routes.iter().map(|r| Pattern::parse_all(r).unwrap()).collect();
        Routes::build(patterns.iter().enumerate().map(|(i, p)| (i, p.as_slice())), |i| format!("a{i}"))
            .map_err(|clashes| clashes.into_iter().map(|c| c.message).collect())
    }

    fn action<'p>(index: usize, org: Option<&'p str>, resource_id: Option<&'p str>) -> Found<'static, 'p> {
        Found::Action { index, org, resource_id }
    }

    #[test]
    fn finds_by_method_and_path() {
        let t = table(&[
            "GET /",
            "GET|POST /cameras",
            "GET /cameras/{camera}",
            "GET /cameras/stream",
            "DELETE /orgs/{org}/grants/{grant}",
            "* /echo",
            "OPTIONS /echo",
            "* /files/{rest...}, GET /f",
        ])
        .unwrap();
        assert_eq!(t.find("GET", "/"), action(0, None, None));
        assert_eq!(t.find("HEAD", "/"), action(0, None, None));
        assert_eq!(t.find("POST", "/cameras"), action(1, None, None));
        assert_eq!(t.find("GET", "/cameras/c%20a"), action(2, None, Some("c%20a")));
        assert_eq!(t.find("GET", "/cameras/stream"), action(3, None, None));
        assert_eq!(t.find("DELETE", "/orgs/org_a/grants/imp_1"), action(4, Some("org_a"), Some("imp_1")));
        assert_eq!(t.find("BREW", "/echo"), action(5, None, None));
        assert_eq!(t.find("OPTIONS", "/echo"), action(6, None, None));
        assert_eq!(t.find("PUT", "/files/a/b"), action(7, None, None));
        assert_eq!(t.find("GET", "/f"), action(7, None, None));
        assert_eq!(t.find("DELETE", "/cameras"), Found::Allow("GET, HEAD, POST"));
        assert_eq!(t.find("OPTIONS", "/cameras"), Found::Allow("GET, HEAD, POST"));
        for unknown in
            ["/Cameras", "/cameras/", "/cameras/a/b", "/files", "/files/", "/orgs/o/grants", "/%63ameras"]
        {
            assert_eq!(t.find("GET", unknown), Found::Nothing, "{unknown}");
        }
    }

    #[test]
    fn a_literal_goes_before_a_wildcard_whatever_the_method() {
        let t = table(&["GET /api/me", "* /{rest...}, * /"]).unwrap();
        assert_eq!(t.find("GET", "/api/me"), action(0, None, None));
        assert_eq!(t.find("POST", "/api/me"), Found::Allow("GET, HEAD"));
        assert_eq!(t.find("POST", "/api/you"), action(1, None, None));
        assert_eq!(t.find("POST", "/"), action(1, None, None));
    }

    #[test]
    fn tells_what_clashes() {
        let clashes = |routes: &[&str]| table(routes).err().unwrap();
        assert_eq!(clashes(&["GET /a", "POST|GET /a"]), ["`GET /a` is declared twice: by `a0` and by `a1`"]);
        assert_eq!(clashes(&["* /a", "* /a"]), ["`* /a` is declared twice: by `a0` and by `a1`"]);
        assert_eq!(clashes(&["GET /a/{x}", "POST /a/{y}"]), ["`/a/{y}` can't be told from `/a/{x}`"]);
    }

    #[test]
    fn refuses_what_is_no_route() {
        for bad in [
            "/a",
            "get /a",
            "GET a",
            "GET /a//b",
            "GET /a/",
            "GET /{A}",
            "GET /{x}/{x}",
            "GET /{x...}/a",
            "GET /a{x}",
            "GET /a*",
            "|GET /a",
            "GET /a%20b",
            "",
        ] {
            assert!(Pattern::parse_all(bad).is_err(), "{bad}");
        }
    }
}
