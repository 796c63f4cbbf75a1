#!/usr/bin/env python3
"""Does a configuration file, or a file that a call left, fit a JSON Schema?

usage: .venv/bin/python schemacheck.py SCHEMA.json FILE.toml|FILE.json...

Prints one line VERDICT {"file", "ok", "errors"} a file, each error as "path: message". Exit 0 when all fit, 1 when one does not,
2 when the schema itself is no schema of draft 2020-12."""

import json
import pathlib
import sys
import tomllib

from jsonschema import Draft202012Validator, SchemaError


def main(schema_file, files):
    schema = json.loads(pathlib.Path(schema_file).read_text(encoding="utf-8"))
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        print(f"no schema: {error.message}", file=sys.stderr)
        return 2
    validator = Draft202012Validator(schema)
    fits = True
    for file in files:
        read = json.loads if file.endswith(".json") else tomllib.loads
        document = read(pathlib.Path(file).read_text(encoding="utf-8"))
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
        fits = fits and not errors
        print("VERDICT", json.dumps({"file": file, "ok": not errors, "errors": errors}), flush=True)
    return 0 if fits else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
