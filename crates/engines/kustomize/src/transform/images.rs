//! Image names, tags and digests.

use regex::Regex;
use yaml::{Node, Value};

use super::Transformer;
use crate::error::{Error, Place};
use crate::field_spec::{Create, FieldSpec, Misfit};
use crate::kustomization::Image;
use crate::res_map::ResMap;
use crate::tree;

/// Rewrites one image wherever it is named.
#[derive(Debug)]
pub(crate) struct Images {
    image: Image,
    name: Name,
    specs: Vec<FieldSpec>,
}

/// The name an image has to have.
#[derive(Debug)]
enum Name {
    /// Nothing in it has a meaning but its dots, which stand for any character: true of most, and
    /// cheaper than the expression would be to make.
    Plain(String),
    Matching(Regex),
}

impl Name {
    fn new(name: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_/:@.".contains(c);
        if name.chars().all(is_plain) {
            return Ok(Self::Plain(name.to_owned()));
        }
        let pattern = format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$");
        Regex::new(&pattern)
            .map(Self::Matching)
            .map_err(|_| format!("image name '{name}' is no regular expression"))
    }

    fn matches(&self, reference: &str) -> bool {
        let name = match self {
            Self::Matching(regex) => return regex.is_match(reference),
            Self::Plain(name) => name,
        };
        let mut rest = reference.chars();
        let fits = |c: char| match (c, rest.next()) {
            ('.', Some(found)) => found != '\n',
            (wanted, found) => found == Some(wanted),
        };
        name.chars().all(fits) && is_version(rest.as_str())
    }
}

/// Tells whether a text may follow an image's name: a tag, a digest, both or nothing.
fn is_version(text: &str) -> bool {
    let marks = |text: &str| {
        let is_mark = |c: char| c.is_ascii_alphanumeric() || "_.{}-".contains(c);
        text.chars().all(is_mark)
    };
    let (tag, digest) = match text.split_once('@') {
        Some((tag, digest)) => (tag, digest.strip_prefix("sha256:")),
        None => (text, Some("")),
    };
    let tag = if tag.is_empty() {
        Some("")
    } else {
        tag.strip_prefix(':')
    };
    matches!((tag, digest), (Some(tag), Some(digest)) if marks(tag) && marks(digest))
}

impl Images {
    /// Takes one entry of `images`. Its name goes unescaped into a regular expression, as upstream
    /// has it.
    ///
    /// # Errors
    /// Where the name is no regular expression.
    pub(crate) fn new(image: Image, specs: Vec<FieldSpec>, place: Place) -> Result<Self, Error> {
        let name = Name::new(&image.name).map_err(|problem| Error::at(place, problem))?;
        Ok(Self { image, name, specs })
    }

    /// Rewrites one image reference where it is the one meant.
    fn set(&self, node: &mut Node) -> Result<(), String> {
        if node.is_null() {
            return Ok(());
        }
        tree::require_scalar(node)?;
        if !self.name.matches(node.text()) {
            return Ok(());
        }
        let renamed = rename(node.text(), &self.image);
        tree::set_text(node, &renamed)
    }

    /// Rewrites images in all lists of containers below a node.
    fn walk(&self, node: &mut Node) -> Result<(), Misfit> {
        match &mut node.value {
            Value::Scalar(_) => Ok(()),
            Value::Sequence(items) => items.iter_mut().try_for_each(|item| self.walk(item)),
            Value::Mapping(mapping) => mapping.iter_mut().try_for_each(|(key, value)| {
                self.walk(value)?;
                match (key.text(), &mut value.value) {
                    ("containers" | "initContainers", Value::Sequence(items)) => items
                        .iter_mut()
                        .try_for_each(|item| self.set_container(item)),
                    _ => Ok(()),
                }
            }),
        }
    }

    fn set_container(&self, container: &mut Node) -> Result<(), Misfit> {
        if container.is_null() {
            return Ok(());
        }
        if container.as_mapping().is_none() {
            let shape = tree::shape(container);
            let problem = format!("wrong node kind: expected MappingNode but got {shape}");
            return Err(Misfit::new(container, problem));
        }
        match container.get_mut("image") {
            Some(image) => self
                .set(image)
                .map_err(|problem| Misfit::new(image, problem)),
            None => Ok(()),
        }
    }
}

impl Transformer for Images {
    fn name(&self) -> &'static str {
        "ImageTagTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        resources.change(|resource| {
            if resource.kind() == "CustomResourceDefinition" {
                return Ok(());
            }
            self.walk(&mut resource.node)
                .map_err(|misfit| Error::at(misfit.place(resource.place()), &*misfit.problem))?;
            FieldSpec::of(&self.specs, resource)
                .into_iter()
                .try_for_each(|spec| {
                    spec.visit(resource, Create::Nothing, &mut |node| self.set(node))
                })
        })
    }
}

/// Gives an image reference with its name, tag or digest replaced.
fn rename(reference: &str, image: &Image) -> String {
    let (name, tag, digest) = split(reference);
    let (tag, digest) = match (image.new_tag.as_str(), image.digest.as_str()) {
        ("", "") if image.tag_suffix.is_empty() => (tag.to_owned(), digest),
        ("", "") => (format!("{tag}{}", image.tag_suffix), ""),
        (new_tag, new_digest) => (new_tag.to_owned(), new_digest),
    };
    let mut renamed = if image.new_name.is_empty() {
        name.to_owned()
    } else {
        image.new_name.clone()
    };
    if !tag.is_empty() {
        renamed.push(':');
        renamed.push_str(&tag);
    }
    if !digest.is_empty() {
        renamed.push('@');
        renamed.push_str(digest);
    }
    renamed
}

/// Splits an image reference into name, tag and digest; a registry's port is no tag.
fn split(reference: &str) -> (&str, &str, &str) {
    let after = reference.find('/').filter(|at| *at > 0).unwrap_or(0);
    let digest = reference[after..].find('@').map(|at| at + after);
    let tag = reference[after..].find(':').map(|at| at + after);
    match (tag, digest) {
        (None, None) => (reference, "", ""),
        (Some(tag), Some(digest)) if tag < digest => (
            &reference[..tag],
            &reference[tag + 1..digest],
            &reference[digest + 1..],
        ),
        (_, Some(digest)) => (&reference[..digest], "", &reference[digest + 1..]),
        (Some(tag), None) => (&reference[..tag], &reference[tag + 1..], ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(new_name: &str, new_tag: &str, digest: &str, tag_suffix: &str) -> Image {
        Image {
            name: String::new(),
            new_name: new_name.to_owned(),
            new_tag: new_tag.to_owned(),
            digest: digest.to_owned(),
            tag_suffix: tag_suffix.to_owned(),
        }
    }

    /// covers: KE-064, KE-065, KE-066
    #[test]
    fn references_are_renamed_part_by_part() {
        let cases = [
            ("nginx:1", image("", "2", "", ""), "nginx:2"),
            ("nginx@sha256:a", image("", "2", "", ""), "nginx:2"),
            ("nginx:1", image("", "", "sha256:b", ""), "nginx@sha256:b"),
            (
                "nginx:1",
                image("", "2", "sha256:b", ""),
                "nginx:2@sha256:b",
            ),
            (
                "nginx:1@sha256:a",
                image("web", "", "", ""),
                "web:1@sha256:a",
            ),
            ("reg:5000/nginx", image("", "2", "", ""), "reg:5000/nginx:2"),
            ("reg:5000/nginx:1", image("x", "", "", ""), "x:1"),
            ("s", image("", "", "", "-x"), "s:-x"),
            ("s:1", image("", "", "", "-x"), "s:1-x"),
        ];
        for (reference, image, expected) in cases {
            assert_eq!(rename(reference, &image), expected, "{reference}");
        }
    }

    /// covers: KE-063
    #[test]
    fn name_is_an_unescaped_regular_expression() {
        let of = |name: &str| {
            let image = Image {
                name: name.to_owned(),
                ..Image::default()
            };
            Images::new(image, Vec::new(), Place::default())
        };
        let matches = |name: &str, reference: &str| of(name).unwrap().name.matches(reference);
        assert!(matches("nginx.*", "nginx-extra:1"));
        assert!(matches("nginx", "nginx@sha256:abc"));
        assert!(!matches("nginx", "nginx@sha512:abc"));
        assert!(!matches("nginx", "docker.io/library/nginx"));
        assert!(of("nginx(").is_err());
    }

    #[test]
    fn plain_names_match_as_their_expressions_do() {
        let names = ["", "a", "a.b", "r:5/a", "a@sha256:b", ".", "..", "a-_/:@."];
        let references = [
            "",
            "a",
            "a:",
            "a:1",
            "a@",
            "a@sha256:",
            "a@sha256:x",
            "a:1@sha256:x",
            "a@sha512:x",
            "a:1:2",
            "a:@sha256:x",
            "a@sha256:x@sha256:y",
            "a.b",
            "axb",
            "axb:1",
            "a\nb",
            "r:5/a:v",
            "a@sha256:b",
            "a@sha256:b:1@sha256:c",
            "x",
            "xy",
            "ü",
            "üx",
            "\n",
            "a-_/:@.",
            "a:{x.Y-_}",
            "a:1 ",
            "aa",
            "b",
        ];
        for name in names {
            let plain = Name::new(name).unwrap();
            assert!(matches!(plain, Name::Plain(_)), "{name}");
            let pattern = format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$");
            let regex = Name::Matching(Regex::new(&pattern).unwrap());
            for reference in references {
                let (one, other) = (plain.matches(reference), regex.matches(reference));
                assert_eq!(one, other, "{name} {reference:?}");
            }
        }
    }
}
