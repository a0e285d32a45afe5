"""The figures that documents may name without a link: what the product's code and files set, and facts from outside."""

from __future__ import annotations

from checked_figures import Fact, Setting

SETTINGS: tuple[Setting, ...] = ()

FACTS: tuple[Fact, ...] = ()
