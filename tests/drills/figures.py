"""The figures of one drill: what was measured, what it may be, and whether it is."""

import dataclasses


@dataclasses.dataclass
class Figure:
    what: str
    measured: str
    bound: str
    good: bool


def shown(value, unit=""):
    """A value in few digits; seconds and bytes in the unit that they are read in."""
    if isinstance(value, float) and unit == "s":
        return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.2f} s"
    if unit == "B":
        size = float(value)
        for name in ("B", "KiB", "MiB", "GiB"):
            if abs(size) < 1024 or name == "GiB":
                return f"{size:.0f} {name}" if name == "B" else f"{size:.1f} {name}"
            size /= 1024
    text = f"{value:.6g}" if isinstance(value, float) else repr(value) if isinstance(value, bytes) else str(value)
    text = text if len(text) <= 300 else text[:300] + " ..."
    return f"{text} {unit}".strip()


class Figures:
    """Nothing here raises: one bad figure must not hide the others."""

    def __init__(self):
        self.rows = []

    @property
    def good(self):
        return bool(self.rows) and all(row.good for row in self.rows)

    def add(self, what, measured, bound, good):
        self.rows.append(Figure(what, str(measured), str(bound), bool(good)))
        return bool(good)

    def equal(self, what, measured, expected, unit=""):
        return self.add(what, shown(measured, unit), shown(expected, unit), measured == expected)

    def at_most(self, what, measured, bound, unit=""):
        return self.add(what, shown(measured, unit), f"<= {shown(bound, unit)}", measured <= bound)

    def at_least(self, what, measured, bound, unit=""):
        return self.add(what, shown(measured, unit), f">= {shown(bound, unit)}", measured >= bound)

    def between(self, what, measured, low, high, unit=""):
        return self.add(what, shown(measured, unit), f"{shown(low, unit)} .. {shown(high, unit)}",
                        low <= measured <= high)

    def note(self, what, why):
        """What this run cannot judge, said instead of left out."""
        self.rows.append(Figure(what, why, "not judged", True))

    def table(self):
        rows, long = [("figure", "measured", "bound", "")], []
        for row in self.rows:
            cells = [row.what, row.measured, row.bound, "" if row.good else "FAILED"]
            for i in (1, 2):  # in full below the table
                if len(cells[i]) > 40 or "\n" in cells[i]:
                    long.append(f"\n  {row.what}:\n{cells[i]}")
                    cells[i] = "see below"
            rows.append(cells)
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  " + "  ".join([*(t.ljust(w) for t, w in zip(row, widths)), row[3]]).rstrip() for row in rows]
        return "\n".join(lines + long)
