//! The namespace of a kustomization.

use yaml::{Kind, Node, Value};

use super::Transformer;
use crate::error::Error;
use crate::field_spec::{Create, FieldSpec, Misfit};
use crate::id::Gvk;
use crate::res_map::ResMap;
use crate::resource::{HELM_GENERATED, Resource, list_ids};
use crate::schema::Schema;
use crate::tree;

/// Which subjects of role bindings move along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Those named `default`.
    #[default]
    NamedDefault,
    /// Every service account.
    ServiceAccounts,
    /// None.
    Unchanged,
}

/// Puts all objects that belong to one into a namespace.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) specs: Vec<FieldSpec>,
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

impl Transformer for Namespace {
    fn name(&self) -> &'static str {
        "NamespaceTransformer"
    }

    fn apply(&self, resources: &mut ResMap) -> Result<(), Error> {
        if self.name.is_empty() {
            return Ok(());
        }
        let schema = std::rc::Rc::clone(resources.schema());
        let schema: &Schema = &schema;
        resources.names_changed();
        resources.change(|resource| {
            if resource.is_empty() || resource.annotation(HELM_GENERATED) == Some("true") {
                return Ok(());
            }
            resource.remember_id(schema);
            self.set(resource, schema)
        })?;
        let clashes = resources.clashes();
        if clashes.is_empty() {
            return Ok(());
        }
        let all = || clashes.iter().flatten().copied();
        let error = Error::new(format!(
            "namespace transformation produces ID conflict: [{}]",
            list_ids(all())
        ));
        Err(all().fold(error, |error, resource| error.with_place(resource.place())))
    }
}

impl Namespace {
    /// Moves one object.
    pub(crate) fn set(&self, resource: &mut Resource, schema: &Schema) -> Result<(), Error> {
        let is_core = resource.api_version() == "v1";
        if !resource.id().is_cluster_scoped(schema) {
            let own = FieldSpec::new(Gvk::default(), "metadata/namespace", true);
            self.visit(&own, resource)?;
        }
        let is_binding = matches!(resource.kind(), "RoleBinding" | "ClusterRoleBinding");
        if is_binding {
            self.set_subjects(resource)?;
        }
        for spec in self
            .specs
            .iter()
            .filter(|spec| spec.selects(resource))
            .collect::<Vec<_>>()
        {
            let of_binding = matches!(spec.gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding");
            let skipped = match spec.path.as_str() {
                "metadata/namespace" => true,
                "metadata/name" => !is_core,
                "subjects/namespace" => is_binding && of_binding,
                _ => false,
            };
            if !skipped {
                self.visit(spec, resource)?;
            }
        }
        Ok(())
    }

    fn visit(&self, spec: &FieldSpec, resource: &mut Resource) -> Result<(), Error> {
        spec.visit(resource, Create::Scalar, &mut |node| self.set_node(node))
            .map_err(|error| error.context("namespace transformation failed"))
    }

    fn set_node(&self, node: &mut Node) -> Result<(), String> {
        if self.unset_only && !node.is_null() && !node.text().is_empty() {
            return Ok(());
        }
        tree::set_string(node, &self.name)
    }

    fn set_subjects(&self, resource: &mut Resource) -> Result<(), Error> {
        let place = resource.place();
        let Some(subjects) = resource
            .node
            .get_mut("subjects")
            .filter(|node| !node.is_null())
        else {
            return Ok(());
        };
        let (field, wanted) = match self.subjects {
            Subjects::Unchanged => return Ok(()),
            Subjects::NamedDefault => ("name", "default"),
            Subjects::ServiceAccounts => ("kind", "ServiceAccount"),
        };
        let shape = tree::shape(subjects);
        let result = if let Value::Sequence(items) = &mut subjects.value {
            let mut items = items.iter_mut();
            items.try_for_each(|subject| self.set_subject(subject, field, wanted))
        } else {
            let problem = format!("wrong node kind: expected SequenceNode but got {shape}");
            Err(Misfit::new(subjects, problem))
        };
        result.map_err(|misfit| {
            let doing = "setting namespace on (cluster)role binding subjects";
            let problem = format!("{doing}: {}", misfit.problem);
            Error::at(misfit.place(place), problem)
        })
    }

    /// Moves one subject, if the field that decides is what it has to be.
    fn set_subject(&self, subject: &mut Node, field: &str, wanted: &str) -> Result<(), Misfit> {
        if subject.is_null() {
            return Ok(());
        }
        let shape = tree::shape(subject);
        let Value::Mapping(mapping) = &mut subject.value else {
            let problem = format!("wrong node kind: expected MappingNode but got {shape}");
            return Err(Misfit::new(subject, problem));
        };
        let found = mapping.get(field);
        if found.is_none_or(|node| node.is_null() || node.text() != wanted) {
            return Ok(());
        }
        let make = || Node::scalar(Kind::String, "");
        let node = mapping.get_or_insert_with("namespace", make);
        self.set_node(node)
            .map_err(|problem| Misfit::new(node, problem))
    }
}
