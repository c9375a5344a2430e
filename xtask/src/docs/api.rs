//! The HTTP API as tables, from its OpenAPI description.

use serde_json::Value;

/// Every operation, by tag, with its parameters and answers.
pub(super) fn tables(document: &Value) -> String {
    let mut tags: Vec<(String, Vec<String>)> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or("other").to_owned();
            let text = one(&method.to_uppercase(), path, operation);
            match tags.iter_mut().find(|(name, _)| *name == tag) {
                Some((_, list)) => list.push(text),
                None => tags.push((tag, vec![text])),
            }
        }
    }
    tags.sort();
    let mut text = String::new();
    for (tag, operations) in tags {
        text.push_str(&format!("## {tag}\n\n"));
        for operation in operations {
            text.push_str(&operation);
        }
    }
    text
}

fn one(method: &str, path: &str, operation: &Value) -> String {
    let mut text = format!("### `{method} {path}`\n\n");
    for words in [&operation["summary"], &operation["description"]] {
        if let Some(words) = words.as_str() {
            text.push_str(&format!("{}\n\n", words.trim()));
        }
    }
    let parameters = operation["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if !parameters.is_empty() {
        text.push_str("| Parameter | In | Meaning |\n| --- | --- | --- |\n");
        for parameter in parameters {
            let name = parameter["name"].as_str().unwrap_or_default();
            let place = parameter["in"].as_str().unwrap_or_default();
            text.push_str(&format!(
                "| `{name}` | {place} | {} |\n",
                line(&parameter["description"])
            ));
        }
        text.push('\n');
    }
    if let Some(name) = name_of(&operation["requestBody"]) {
        text.push_str(&format!("Takes `{name}`.\n\n"));
    }
    text.push_str("| Status | Answer | Meaning |\n| --- | --- | --- |\n");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let name = name_of(response)
            .map(|name| format!("`{name}`"))
            .unwrap_or_default();
        text.push_str(&format!(
            "| {status} | {name} | {} |\n",
            meaning(status, response)
        ));
    }
    text.push('\n');
    text
}

/// The name of the schema of a body.
fn name_of(body: &Value) -> Option<String> {
    let (media, content) = body["content"].as_object()?.iter().next()?;
    let reference = content["schema"]["$ref"].as_str();
    let name = reference.and_then(|at| at.rsplit('/').next());
    Some(name.unwrap_or(media).to_owned())
}

/// What the code says about a status, or what it always means.
fn meaning(status: &str, response: &Value) -> String {
    let said = line(&response["description"]);
    if !said.is_empty() {
        return said;
    }
    let always = match status {
        "200" => "Done",
        "201" => "Made",
        "202" => "Begun; the answer says where to look",
        "204" => "Done; no body",
        "400" => "Cannot be done as asked",
        "401" => "Nobody is signed in",
        "403" => "Not allowed",
        "404" => "Not there",
        "409" => "In the way of something",
        "422" => "The body does not fit",
        "429" => "Too often",
        "503" => "Not now",
        _ => "",
    };
    always.to_owned()
}

fn line(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_become_sections() {
        let document = json!({"paths": {"/a/{id}": {"get": {
            "tags": ["things"],
            "summary": "Reads a thing.",
            "parameters": [{"name": "id", "in": "path", "description": "Which."}],
            "responses": {"200": {"description": "It.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}}
        }}}});
        assert_eq!(
            tables(&document),
            "\
## things

### `GET /a/{id}`

Reads a thing.

| Parameter | In | Meaning |
| --- | --- | --- |
| `id` | path | Which. |

| Status | Answer | Meaning |
| --- | --- | --- |
| 200 | `Thing` | It. |

"
        );
    }
}
