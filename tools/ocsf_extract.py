#!/usr/bin/env python3
"""Writes tests/data/ocsf/definitions.json: what OCSF publishes about the event classes that the export makes.

    git clone --branch 1.8.0 https://github.com/ocsf/ocsf-schema
    python3 tools/ocsf_extract.py ocsf-schema 1.8.0 > tests/data/ocsf/definitions.json

Definitions are copied as they stand, not resolved: inheritance is left to the test that reads them. What only
explains (descriptions, references, groups) is left out, and so is what no event of these classes can reach.
"""

import json
import subprocess
import sys

CLASSES = ["events/application/api_activity.json", "events/iam/authentication.json"]
BASES = ["events/base_event.json", "events/application/application.json", "events/iam/iam.json"]
KEPT = {"name", "caption", "uid", "extends", "category", "attributes", "constraints", "requirement", "profile"}
KEPT |= {"type", "is_array", "enum", "sibling", "regex", "max_len", "range", "values", "@deprecated"}

repository, tag = sys.argv[1:]


def git(*arguments):
    return subprocess.check_output(["git", "-C", repository, *arguments], text=True)


def published(path):
    return json.loads(git("show", f"{tag}:{path}"))


def lean(definition):
    """Without what only explains. The members of `attributes` and `enum` are names of theirs, and all are kept."""
    kept = {key: value for key, value in definition.items() if key in KEPT}
    if "enum" in kept:
        kept["enum"] = {key: {"caption": value["caption"]} for key, value in kept["enum"].items()}
    if "attributes" in kept:
        attributes = kept["attributes"].items()
        kept["attributes"] = {key: value if key == "$include" else lean(value) for key, value in attributes}
    return kept


dictionary = published("dictionary.json")
objects = {}
for path in git("ls-tree", "-r", "--name-only", tag, "objects/").split():
    definition = published(path)
    objects[definition["name"]] = definition
found = {"events": {}, "objects": {}, "profiles": {}, "dictionary": {}, "types": {}}


def reach(attributes):
    for name, attribute in attributes.items():
        if name == "$include":
            for path in attribute:
                found["profiles"][path] = published(path)
                reach(found["profiles"][path]["attributes"])
            continue
        found["dictionary"][name] = dictionary["attributes"][name]
        for kind in {found["dictionary"][name]["type"], attribute.get("type")} - {None}:
            reach_type(kind)


def reach_type(kind):
    if kind in dictionary["types"]["attributes"]:
        found["types"][kind] = dictionary["types"]["attributes"][kind]
    elif kind not in found["objects"]:
        found["objects"][kind] = objects[kind]
        reach(objects[kind]["attributes"])
        if "extends" in objects[kind]:
            reach_type(objects[kind]["extends"])


for path in CLASSES + BASES:
    definition = published(path)
    found["events"][definition["name"]] = definition
    reach(definition["attributes"])
for kind in [definition["type"] for definition in found["types"].values() if "type" in definition]:
    reach_type(kind)

categories = published("categories.json")["attributes"]
used = {definition.get("category") for definition in found["events"].values()}
found["categories"] = {name: categories[name] for name in categories if name in used}
head = {"version": published("version.json")["version"], "commit": git("rev-parse", f"{tag}^{{commit}}").strip()}
parts = [f'"{key}": {json.dumps(value)}' for key, value in head.items()]
for part, definitions in found.items():
    lines = [f"{json.dumps(name)}: {json.dumps(lean(definitions[name]))}" for name in sorted(definitions)]
    parts.append(f'"{part}": {{\n' + ",\n".join(lines) + "\n}")
print("{\n" + ",\n".join(parts) + "\n}")
