//! Image names, tags and digests.

use regex::Regex;
use yaml::{Node, Value};

use super::{Transformer, each};
use crate::error::{Error, Place};
use crate::field_spec::{Create, FieldSpec, Misfit};
use crate::kustomization::Image;
use crate::res_map::ResMap;
use crate::tree;

/// Rewrites one image wherever it is named.
#[derive(Debug)]
pub(crate) struct Images {
    image: Image,
    matching: Regex,
    specs: Vec<FieldSpec>,
}

impl Images {
    /// Takes one entry of `images`. Its name goes unescaped into a regular expression, as upstream
    /// has it.
    ///
    /// # Errors
    /// Where the name is no regular expression.
    pub(crate) fn new(image: Image, specs: Vec<FieldSpec>, place: Place) -> Result<Self, Error> {
        let pattern = format!(
            "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$",
            image.name
        );
        let matching = Regex::new(&pattern).map_err(|_| {
            let text = format!("image name '{}' is no regular expression", image.name);
            Error::at(place, text)
        })?;
        Ok(Self {
            image,
            matching,
            specs,
        })
    }

    /// Rewrites one image reference where it is the one meant.
    fn set(&self, node: &mut Node) -> Result<(), String> {
        if node.is_null() {
            return Ok(());
        }
        tree::require_scalar(node)?;
        if !self.matching.is_match(node.text()) {
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
        each(resources.content_mut(), |resource| {
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
        assert!(of("nginx.*").unwrap().matching.is_match("nginx-extra:1"));
        assert!(of("nginx").unwrap().matching.is_match("nginx@sha256:abc"));
        assert!(!of("nginx").unwrap().matching.is_match("nginx@sha512:abc"));
        assert!(
            !of("nginx")
                .unwrap()
                .matching
                .is_match("docker.io/library/nginx")
        );
        assert!(of("nginx(").is_err());
    }
}
