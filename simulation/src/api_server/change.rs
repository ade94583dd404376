//! How writes change an object: merge patches and server-side apply.

use serde_json::{Map, Value};

/// RFC 7386.
pub(super) fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    let into = as_map(object);
    for (key, value) in fields {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// Server-side apply with force: what the manager applies is there afterwards, and what it applied before and does not any more
/// is gone. Lists are taken as wholes, which is what they are to a manager that owns all of their items.
pub(super) fn apply(object: &mut Value, before: Option<&Value>, now: &Value) {
    if let Some(before) = before {
        remove_given_up(object, before, now);
    }
    merge_without_deleting(object, now);
}

fn remove_given_up(object: &mut Value, before: &Value, now: &Value) {
    let (Value::Object(into), Value::Object(before)) = (object, before) else {
        return;
    };
    for (key, old) in before {
        match now.get(key) {
            Some(kept) => {
                if let Some(inner) = into.get_mut(key) {
                    remove_given_up(inner, old, kept);
                }
            }
            None => _ = into.remove(key),
        }
    }
}

fn merge_without_deleting(object: &mut Value, now: &Value) {
    let Value::Object(fields) = now else {
        *object = now.clone();
        return;
    };
    let into = as_map(object);
    for (key, value) in fields {
        merge_without_deleting(into.entry(key.as_str()).or_insert(Value::Null), value);
    }
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was just made one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manager_takes_back_what_it_applies_no_more() {
        let mut object = json!({"status": {"phase": "a", "message": "of another"}});
        let first = json!({"status": {"phase": "b", "region": "r", "list": [1, 2]}});
        apply(&mut object, None, &first);
        let second = json!({"status": {"phase": "c", "list": [3]}});
        apply(&mut object, Some(&first), &second);
        assert_eq!(
            object,
            json!({"status": {"phase": "c", "message": "of another", "list": [3]}})
        );
    }

    #[test]
    fn null_deletes_in_a_merge_patch() {
        let mut object = json!({"a": 1, "b": {"c": 2}});
        merge(&mut object, &json!({"a": null, "b": {"d": 3}}));
        assert_eq!(object, json!({"b": {"c": 2, "d": 3}}));
    }
}
