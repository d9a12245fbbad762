"""The parts of the search: its space, its journal, its trials, its workers, what it found."""
