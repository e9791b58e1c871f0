//! What the repository holds: units of manifests and charts, changed by each commit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::dice::Dice;

pub(crate) const UNITS: usize = 8;
pub(crate) const CHARTS: usize = 3;
/// A unit has no more objects than this.
const MOST: usize = 12;

#[derive(Clone, Debug)]
enum Item {
    Map(u64),
    Web { replicas: u64, colour: u64 },
}

#[derive(Clone, Debug, Default)]
struct Unit {
    items: BTreeMap<String, Item>,
    generated: u64,
    broken: bool,
}

#[derive(Clone, Debug, Default)]
struct Chart {
    version: u64,
    maps: BTreeMap<u64, u64>,
}

/// The content of the branch that is applied.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    units: Vec<Unit>,
    charts: Vec<Chart>,
    names: u64,
}

impl Fleet {
    /// Returns what the first commit holds.
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut fleet = Self {
            units: vec![Unit::default(); UNITS],
            charts: vec![Chart::default(); CHARTS],
            names: 0,
        };
        for unit in 0..UNITS {
            for _ in 0..4 {
                fleet.add(unit, dice);
            }
        }
        for chart in 0..CHARTS {
            fleet.release(chart, dice);
        }
        fleet
    }

    /// Changes some of it. A commit may break a unit; the next one mends it.
    pub(crate) fn change(&mut self, dice: &mut Dice) {
        for unit in &mut self.units {
            unit.broken = false;
        }
        for _ in 0..=dice.below(3) {
            let unit = dice.index(UNITS);
            match dice.below(12) {
                0..=2 => self.add(unit, dice),
                3..=4 => self.remove(unit, dice),
                5..=7 => self.edit(unit, dice),
                8 => self.hand_over(unit, dice),
                9 => self.units[unit].generated = dice.below(1 << 20),
                10 => self.release(dice.index(CHARTS), dice),
                _ => self.units[unit].broken = dice.below(3) == 0,
            }
        }
    }

    /// Leaves nothing broken and changes every unit and chart, so that all that is applied is known to be new.
    pub(crate) fn close(&mut self, dice: &mut Dice) {
        for unit in &mut self.units {
            unit.broken = false;
            unit.generated += 1;
        }
        for chart in 0..CHARTS {
            self.release(chart, dice);
        }
    }

    fn add(&mut self, unit: usize, dice: &mut Dice) {
        if self.units[unit].items.len() >= MOST {
            return self.remove(unit, dice);
        }
        self.names += 1;
        let (name, item) = match dice.below(4) {
            0 => (format!("web-{}", self.names), web(dice)),
            _ => (format!("map-{}", self.names), Item::Map(dice.below(1000))),
        };
        self.units[unit].items.insert(name, item);
    }

    fn remove(&mut self, unit: usize, dice: &mut Dice) {
        if let Some(name) = self.pick(unit, dice) {
            self.units[unit].items.remove(&name);
        }
    }

    fn edit(&mut self, unit: usize, dice: &mut Dice) {
        let Some(name) = self.pick(unit, dice) else {
            return;
        };
        let item = match self.units[unit].items[&name] {
            Item::Map(value) => Item::Map(value + 1),
            Item::Web { .. } => web(dice),
        };
        self.units[unit].items.insert(name, item);
    }

    /// Moves an object to the next unit under its name.
    fn hand_over(&mut self, unit: usize, dice: &mut Dice) {
        let Some(name) = self.pick(unit, dice) else {
            return;
        };
        if let Some(item) = self.units[unit].items.remove(&name) {
            self.units[(unit + 1) % UNITS].items.insert(name, item);
        }
    }

    fn release(&mut self, chart: usize, dice: &mut Dice) {
        let chart = &mut self.charts[chart];
        chart.version += 1;
        chart.maps.insert(dice.below(4), chart.version);
        if dice.below(3) == 0 {
            chart.maps.pop_first();
        }
    }

    fn pick(&self, unit: usize, dice: &mut Dice) -> Option<String> {
        let items = &self.units[unit].items;
        items.keys().nth(dice.index(items.len())).cloned()
    }

    /// Returns every file with its content.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for (number, unit) in self.units.iter().enumerate() {
            let folder = format!("units/u{number}");
            let mut kustomization = format!(
                "configMapGenerator:\n- name: made-{number}\n  literals: [value={}]\nresources:\n",
                unit.generated
            );
            // Never empty: a unit that builds to nothing is another matter.
            kustomization += "- always.yaml\n";
            files.push((
                format!("{folder}/always.yaml"),
                map(&format!("always-{number}"), 1),
            ));
            for (name, item) in &unit.items {
                writeln!(kustomization, "- {name}.yaml").unwrap();
                files.push((format!("{folder}/{name}.yaml"), manifest(name, item)));
            }
            if unit.broken {
                kustomization += "- missing.yaml\n";
            }
            files.push((format!("{folder}/kustomization.yaml"), kustomization));
        }
        for (number, chart) in self.charts.iter().enumerate() {
            let folder = format!("charts/c{number}");
            let about = format!(
                "apiVersion: v2\nname: c{number}\nversion: 0.{}.0\n",
                chart.version
            );
            files.push((format!("{folder}/Chart.yaml"), about));
            files.push((format!("{folder}/values.yaml"), "colour: grey\n".to_owned()));
            for (map, value) in &chart.maps {
                let text = format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {{{{ .Release.Name }}}}-{map}}}\n\
                     data: {{value: \"{value}\", colour: {{{{ .Values.colour }}}}}}\n"
                );
                files.push((format!("{folder}/templates/m{map}.yaml"), text));
            }
        }
        files
    }
}

fn web(dice: &mut Dice) -> Item {
    Item::Web {
        replicas: dice.below(3),
        colour: dice.below(100),
    }
}

fn map(name: &str, value: u64) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: \"{value}\"}}\n"
    )
}

fn manifest(name: &str, item: &Item) -> String {
    match item {
        Item::Map(value) => map(name, *value),
        Item::Web { replicas, colour } => format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  \
             selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
             spec: {{containers: [{{name: web, image: \"registry.example/web:{colour}\"}}]}}\n"
        ),
    }
}
