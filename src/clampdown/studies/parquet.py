"""A study's answers as one Parquet table, for notebooks and data frames."""

import json
from pathlib import Path

from clampdown.errors import ClampdownError
from clampdown.studies.record import ROWS_SCHEMA, Record, flat_rows
from clampdown.writing import beside


def write_parquet(record: Record, path: Path) -> int:
    """Write one row an answer to `path`, whole or not at all, and say how many.

    The file's metadata hold, under the key "clampdown", what all rows share: identity, plan, environment, the sets with
    their hashes, and the arms with their recipes.

    Raises:
        ClampdownError: pyarrow is missing, the study has no answers, or the file can't be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ClampdownError("Parquet needs pyarrow; install it with: pip install 'clampdown[export]'") from error
    rows = flat_rows(record)
    if not rows:
        raise ClampdownError(f"study {record.name} has no answers yet; start it again")
    shared = {
        "schema": ROWS_SCHEMA,
        "identity": record.identity,
        **record.about,
        "sets": record.asked,
        "arms": [arm.to_dict() for arm in record.arms],
    }
    table = pyarrow.Table.from_pylist(rows).replace_schema_metadata({"clampdown": json.dumps(shared)})
    with beside(path) as part:
        pyarrow.parquet.write_table(table, part)
    return len(rows)
