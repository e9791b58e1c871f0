//! Where an object came from and what changed it, as `buildMetadata` prints it.

/// A file, or a generator or transformer and the file that configures it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) path: String,
    pub(crate) repo: String,
    pub(crate) reference: String,
    pub(crate) configured_in: String,
    pub(crate) configured_by: Option<ConfiguredBy>,
}

/// The object that configures a generator or transformer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredBy {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Origin {
    /// Names a file or directory below this one.
    #[must_use]
    pub(crate) fn append(&self, path: &str) -> Self {
        let path = clean(&format!("{}/{path}", self.path));
        Self {
            path,
            ..self.clone()
        }
    }

    /// Names something that the file `file` in this directory configures.
    pub(crate) fn configured(&self, file: &str, by: ConfiguredBy) -> Self {
        Self {
            path: String::new(),
            repo: self.repo.clone(),
            reference: self.reference.clone(),
            configured_in: clean(&format!("{}/{file}", self.path)),
            configured_by: Some(by),
        }
    }

    /// Prints the fields that are set, `indent` before each but the first.
    fn print(&self, indent: &str, out: &mut String) {
        let mut lines: Vec<String> = Vec::new();
        let mut line = |key: &str, value: &str| {
            if !value.is_empty() {
                lines.push(format!("{key}: {}", scalar(value)));
            }
        };
        line("path", &self.path);
        line("repo", &self.repo);
        line("ref", &self.reference);
        line("configuredIn", &self.configured_in);
        if let Some(by) = &self.configured_by {
            lines.push("configuredBy:".to_owned());
            let fields = [
                ("apiVersion", &by.api_version),
                ("kind", &by.kind),
                ("name", &by.name),
                ("namespace", &by.namespace),
            ];
            for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
                lines.push(format!("  {key}: {}", scalar(value)));
            }
        }
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                out.push_str(indent);
            }
            out.push_str(line);
            out.push('\n');
        }
    }

    /// Gives the text of the origin annotation.
    pub(crate) fn to_annotation(&self) -> String {
        let mut out = String::new();
        self.print("", &mut out);
        out
    }
}

/// Gives the text of the transformations annotation.
pub(crate) fn transformations(origins: &[Origin]) -> String {
    let mut out = String::new();
    for origin in origins {
        out.push_str("- ");
        origin.print("  ", &mut out);
    }
    out
}

fn scalar(text: &str) -> String {
    match yaml::emit::v2(&serde_json::Value::String(text.to_owned())) {
        Ok(printed) => printed.trim_end().to_owned(),
        Err(_) => format!("{text:?}"),
    }
}

/// Cleans a path of `.` and `..` as far as they go.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}
