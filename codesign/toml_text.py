"""Values as TOML writes them, in studies and in messages about them."""

from __future__ import annotations

import json
from typing import Any


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML escapes one more character
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)  # numbers, and the dates TOML also knows
