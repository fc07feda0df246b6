//! What the source files of a crate are, and what each imports of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Ident, Item, Lit, Meta, UseTree};

/// A path of modules, from the crate's root, which is the empty one.
pub(crate) type ModulePath = Vec<String>;

/// One crate.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

/// One module with a file of its own.
#[derive(Debug, Default)]
struct Module {
    /// Names that it has from elsewhere, and the paths they stand for.
    aliases: BTreeMap<String, Vec<String>>,
    /// Every path in it that may lead into the crate.
    paths: BTreeSet<Vec<String>>,
    /// How many modules within the file are being read.
    inner: usize,
}

impl Crate {
    /// Reads the crate whose root is this file.
    pub(crate) fn read(root: &Path) -> Self {
        let mut this = Self::default();
        let folder = root.parent().expect("a file lies in a folder");
        this.read_module(root, folder, Vec::new());
        this
    }

    /// Reads a module and those in it. Its own modules lie in `folder`.
    fn read_module(&mut self, file: &Path, folder: &Path, path: ModulePath) {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        // One module may have a file for each target.
        let module = self.modules.entry(path.clone()).or_default();
        module.visit_file(&parsed);
        for item in &parsed.items {
            let Item::Mod(child) = item else { continue };
            if child.content.is_some() || is_for_tests(&child.attrs) {
                continue;
            }
            let name = name(&child.ident);
            let mut below = path.clone();
            below.push(name.clone());
            let beside = file.parent().expect("a file lies in a folder");
            let places = places(&child.attrs);
            for place in &places {
                self.read_module(&beside.join(place), &folder.join(&name), below.clone());
            }
            if !places.is_empty() {
                continue;
            }
            let candidates: [PathBuf; 2] = [
                folder.join(format!("{name}.rs")),
                folder.join(&name).join("mod.rs"),
            ];
            let found = candidates.iter().find(|candidate| candidate.is_file());
            let found = found.unwrap_or_else(|| panic!("{}: no file {name}", file.display()));
            self.read_module(found, &folder.join(name), below);
        }
    }

    /// All modules that are files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &ModulePath> {
        self.modules.keys()
    }

    /// What the file of `module` imports: files of the crate.
    pub(crate) fn imports(&self, module: &ModulePath) -> BTreeSet<ModulePath> {
        let paths = &self.modules[module].paths;
        paths
            .iter()
            .filter_map(|path| self.resolve(module, path, 0))
            .filter(|found| found != module)
            .collect()
    }

    /// The file that `path`, which stands in `module`, leads to; `None` if it leads out of the
    /// crate.
    fn resolve(&self, module: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        // A name may be an alias of an alias; nobody writes ten.
        if depth > 10 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(Vec::new(), rest, depth),
            "self" => self.walk(module.clone(), rest, depth),
            "super" => {
                let mut parent = module.clone();
                parent.pop();
                match rest.first().map(String::as_str) {
                    Some("super") => self.resolve(&parent, rest, depth + 1),
                    _ => self.walk(parent, rest, depth),
                }
            }
            _ => {
                let mut child = module.clone();
                child.push(first.clone());
                if self.modules.contains_key(&child) {
                    return self.walk(child, rest, depth);
                }
                let alias = self.modules[module].aliases.get(first)?;
                // `use x;` and `use x::{self}` stand for themselves.
                (alias.first() != Some(first)).then_some(())?;
                let whole: Vec<_> = alias.iter().chain(rest).cloned().collect();
                self.resolve(module, &whole, depth + 1)
            }
        }
    }

    /// Goes down from `at` as far as `path` leads through files, and through what they have from
    /// elsewhere.
    fn walk(&self, mut at: ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        for (number, part) in path.iter().enumerate() {
            at.push(part.clone());
            if self.modules.contains_key(&at) {
                continue;
            }
            at.pop();
            let module = self.modules.get(&at)?;
            if let Some(alias) = module.aliases.get(part) {
                let whole: Vec<_> = alias.iter().chain(&path[number + 1..]).cloned().collect();
                // Something from another crate is at home where it is passed on.
                return self.resolve(&at, &whole, depth + 1).or(Some(at));
            }
            return Some(at);
        }
        Some(at)
    }
}

impl Module {
    /// Adds a path; one name alone leads nowhere but to itself.
    fn add(&mut self, path: &[String]) {
        // From a module within the file, `super` leads to what surrounds it.
        let ups = path.iter().take_while(|part| *part == "super").count();
        let path = match ups.min(self.inner) {
            0 => path.to_vec(),
            inner => {
                let out = if inner == self.inner { "self" } else { return };
                [&[out.to_owned()], &path[inner..]].concat()
            }
        };
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }

    /// Adds all that a `use` brings.
    fn add_use(&mut self, before: &[String], tree: &UseTree) {
        let with = |ident: &Ident| {
            let mut path = before.to_vec();
            path.push(name(ident));
            path
        };
        match tree {
            UseTree::Path(path) => self.add_use(&with(&path.ident), &path.tree),
            UseTree::Name(last) if last.ident == "self" => {
                let own = before.last().cloned().unwrap_or_default();
                self.alias(own, before.to_vec());
            }
            UseTree::Name(last) => self.alias(name(&last.ident), with(&last.ident)),
            UseTree::Rename(last) if last.ident == "self" => {
                self.alias(name(&last.rename), before.to_vec());
            }
            UseTree::Rename(last) => self.alias(name(&last.rename), with(&last.ident)),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_use(before, tree);
                }
            }
        }
    }

    fn alias(&mut self, name: String, path: Vec<String>) {
        self.add(&path);
        if self.inner == 0 {
            self.aliases.insert(name, path);
        }
    }

    /// Adds the paths in what a macro is given, which is not parsed: those that begin with `crate`
    /// or `super`.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let is_start = ident == "crate" || ident == "super";
                    if path.is_empty() && is_start || !path.is_empty() {
                        path.push(name(&ident));
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {}
                other => {
                    self.add(&std::mem::take(&mut path));
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(&path);
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.inner += 1;
        visit::visit_item_mod(self, item);
        self.inner -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<_> = path.segments.iter().map(|part| name(&part.ident)).collect();
        self.add(&parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.visit_path(&called.path);
        self.add_tokens(called.tokens.clone());
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(in a::path)` imports nothing.
    }
}

/// Whether something is there for tests only, which may look wherever they want.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if !attribute.path().is_ident("cfg") {
            return false;
        }
        let tokens = attribute
            .meta
            .require_list()
            .map(|list| list.tokens.to_string());
        let tokens = tokens.unwrap_or_default();
        tokens == "test" || tokens.starts_with("all (test ,") || tokens.starts_with("all(test,")
    })
}

/// The files that `path = ".."` names for a module, whatever the target.
fn places(attributes: &[Attribute]) -> Vec<String> {
    fn add(tokens: TokenStream, places: &mut Vec<String>) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for three in tokens.windows(3) {
            if let [TokenTree::Ident(key), _, TokenTree::Literal(value)] = three
                && key == "path"
                && let Ok(value) = syn::parse_str::<syn::LitStr>(&value.to_string())
            {
                places.push(value.value());
            }
        }
    }
    let mut places = Vec::new();
    for attribute in attributes {
        match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                add(list.tokens.clone(), &mut places);
            }
            Meta::NameValue(pair) if pair.path.is_ident("path") => {
                if let Expr::Lit(ExprLit {
                    lit: Lit::Str(place),
                    ..
                }) = &pair.value
                {
                    places.push(place.value());
                }
            }
            _ => {}
        }
    }
    places
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// A name as it is written, without the mark of a raw one.
fn name(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}
