"""Types of numbers with a range; a value outside it would exhaust the memory or mean nothing."""

from jsonargparse.typing import restricted_number_type

Count = restricted_number_type("CountUpTo10Million", int, [(">", 0), ("<=", 10_000_000)])
Folds = restricted_number_type("FoldsFrom2", int, [(">=", 2)])
Width = restricted_number_type("WidthUpTo100000", int, [(">", 0), ("<=", 100_000)])
Padding = restricted_number_type("PaddingUpTo1000", int, [(">=", 0), ("<=", 1_000)])
Side = restricted_number_type("SideUpTo10000", int, [(">", 0), ("<=", 10_000)])
Pixels = restricted_number_type("PixelsUpTo1000", float, [(">=", 0), ("<=", 1_000)])
Degrees = restricted_number_type("DegreesUpTo180", float, [(">=", 0), ("<=", 180)])
Slant = restricted_number_type("DegreesUpTo89", float, [(">=", 0), ("<=", 89)])
Seed = restricted_number_type("SeedUpTo2to32", int, [(">=", 0), ("<", 2**32)])

KINDS = {  # the types above and jsonargparse's, for error messages
    "CountUpTo10Million": "a whole number from 1 to 10,000,000",
    "FoldsFrom2": "a whole number of at least 2",
    "WidthUpTo100000": "a whole number from 1 to 100,000",
    "PaddingUpTo1000": "a whole number from 0 to 1,000",
    "SideUpTo10000": "a whole number from 1 to 10,000",
    "PixelsUpTo1000": "a number from 0 to 1,000",
    "DegreesUpTo180": "a number from 0 to 180",
    "DegreesUpTo89": "a number from 0 to 89",
    "SeedUpTo2to32": "a whole number from 0 to 4,294,967,295",
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number of at least 0",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number of at least 0",
    "ClosedUnitInterval": "a number from 0 to 1",
    "OpenUnitInterval": "a number between 0 and 1",
}
