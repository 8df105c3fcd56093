"""`./scripts/run faults commands`: typos are refused, and the right key is suggested."""

import random

import yaml

from scripts.faults.commands import all_typos, build_parsers, count, entries, renamed, typos


def test_a_typo_is_one_letter_dropped_doubled_or_swapped() -> None:
    assert typos("ab") == ["a", "aab", "abb", "b", "ba"]
    assert typos("aa") == ["a", "aaa"]
    assert typos("a") == ["aa"]


def test_every_key_of_a_config_is_found_and_can_be_renamed() -> None:
    config = yaml.safe_load("{a: {b: 1}, c: [{d: 2}, 3]}")
    found = dict(entries(config))
    assert list(found) == [("a",), ("a", "b"), ("c",), ("c", 0, "d")]
    assert renamed(config, ("c", 0, "d"), "e") == {"a": {"b": 1}, "c": [{"e": 2}, 3]}
    assert config["c"] == [{"d": 2}, 3]


def test_a_sample_of_typos_is_refused_with_the_right_key() -> None:
    parser, fit = build_parsers()
    counts = count(parser, fit, random.Random(0).sample(all_typos(fit), 30))
    assert counts.refused == counts.typos > 20, counts.failures
    assert counts.suggested >= counts.typos - 2, counts.failures
