"""A curve in memory of a fixed size, however many values it has."""

MOST_POINTS = 1000      # of a curve, an even number; more of them would look the same


class Curve:
    """A curve of at most MOST_POINTS points, each the mean over a section of the values; all sections are as long.

    When there are too many, neighbours are joined in pairs.
    """

    def __init__(self) -> None:
        self.width = 1                                              # values in a section
        self._sections: list[tuple[int, float, float]] = []         # number, sum of steps, sum of values

    def add(self, step: int, value: float) -> None:
        """Add a value at the end."""
        if not self._sections or self._sections[-1][0] == self.width:
            if len(self._sections) == MOST_POINTS:
                self._join_pairs()
            self._sections.append((0, 0.0, 0.0))
        number, steps, values = self._sections[-1]
        self._sections[-1] = number + 1, steps + step, values + value

    def _join_pairs(self) -> None:
        pairs = zip(self._sections[::2], self._sections[1::2])
        self._sections = [(a + b, steps + others, values + more) for (a, steps, values), (b, others, more) in pairs]
        self.width *= 2

    def points(self) -> tuple[list[float], list[float]]:
        """Return (steps, values)."""
        return ([steps / number for number, steps, _ in self._sections],
                [values / number for number, _, values in self._sections])
