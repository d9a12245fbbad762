"""Fields of a Hugging Face config.json, read with their types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burnish.errors import BurnishError


@dataclass(frozen=True)
class Fields:
    """Read fields; null counts as missing."""

    config: Mapping[str, Any]

    @property
    def model_type(self) -> str:
        """Give the architecture's name."""
        return str(self.config.get("model_type"))

    def count(self, name: str, default: int | None = None) -> int:
        """Read a whole number.

        Raises:
            BurnishError: it is missing and there is no default, or it is no number.
        """
        return int(self.number(name, default))

    def number(self, name: str, default: float | None = None) -> float:
        """Read a number; raises as `count` does."""
        value = self.config.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BurnishError(
                f"{name} is {value!r} in the config of {self.model_type}; a number is needed to size the model: "
                "take the config.json that lies beside the weights"
            )
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read a yes or no."""
        value = self.config.get(name)
        return default if value is None else bool(value)

    def counts(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Read a list of whole numbers."""
        return tuple(int(number) for number in self.config.get(name) or default)

    def part(self, name: str) -> "Fields":
        """Read a config within the config.

        Raises:
            BurnishError: there is none.
        """
        value = self.config.get(name)
        if not isinstance(value, Mapping):
            raise BurnishError(f"{name} is {value!r} in the config of {self.model_type}; it must hold a config itself")
        return Fields({"model_type": f"{self.model_type}'s {name}", **value})

    def num_labels(self) -> int:
        """Count the classes of a classifier; 2 is transformers' own default."""
        names = self.config.get("id2label")
        return len(names) if names else self.count("num_labels", 2)
