//! Helm in process: charts in, manifests out.
//!
//! [`chart`] loads, [`values`] joins, [`render`] executes the templates, [`manifest`] sorts what
//! comes out, [`post_render`] lets others change it, and [`template()`] does all of it as
//! `helm template` does.
//! [`chart::package`] writes, [`repository`] reads indexes of charts and chooses versions.
//! [`lint()`](lint::lint) says what a chart should do better.
//! [`release`] reads and writes the records that Helm keeps in a cluster.

pub mod capabilities;
pub mod chart;
pub mod lint;
pub mod manifest;
pub mod post_render;
pub mod release;
pub mod render;
pub mod repository;
pub mod schema;
pub mod template;
pub mod values;

pub use template::template;
