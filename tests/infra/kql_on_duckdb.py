"""Runs KQL on DuckDB, in an environment of its own that has duckdb-kql. Knows nothing of this project.

Standard input: {"tables": {name: {"columns": {column: type of DuckDB}, "rows": [[...]]}}, "queries": {name: text}}.
Standard output: {name: [{column: value}]}, times as text.
"""

import json
import sys

import duckdb_kql


def main() -> None:
    """Make the tables, run the queries, write what they give."""
    asked = json.load(sys.stdin)
    connection = duckdb_kql.connect()
    for name, table in asked["tables"].items():
        columns = ", ".join(f"{column} {type_}" for column, type_ in table["columns"].items())
        connection.execute(f"CREATE TABLE {name} ({columns})")
        for row in table["rows"]:
            places = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {name} VALUES ({places})", row)  # noqa: S608 - the tests name their tables
    given = {}
    for name, text in asked["queries"].items():
        result = duckdb_kql.query(connection, text)
        given[name] = [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]
    json.dump(given, sys.stdout, default=str)


main()
