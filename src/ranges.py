"""Types of numbers with a range; a value outside it would exhaust the memory or mean nothing."""

from jsonargparse.typing import restricted_number_type

Count = restricted_number_type("CountUpTo10Million", int, [(">", 0), ("<=", 10_000_000)])
Width = restricted_number_type("WidthUpTo100000", int, [(">", 0), ("<=", 100_000)])
Padding = restricted_number_type("PaddingUpTo1000", int, [(">=", 0), ("<=", 1_000)])
Side = restricted_number_type("SideUpTo10000", int, [(">", 0), ("<=", 10_000)])
Pixels = restricted_number_type("PixelsUpTo1000", float, [(">=", 0), ("<=", 1_000)])
Degrees = restricted_number_type("DegreesUpTo180", float, [(">=", 0), ("<=", 180)])
Slant = restricted_number_type("DegreesUpTo89", float, [(">=", 0), ("<=", 89)])
Seed = restricted_number_type("SeedUpTo2to32", int, [(">=", 0), ("<", 2**32)])
